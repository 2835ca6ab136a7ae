// The choice of instruction set: declared in kernels/isa.h, used by every kernel.
#include "kernels/cpu/targets.h"
//
#include <atomic>

#include "hwy/highway.h"
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/integer.h"
#include "kernels/isa.h"

namespace dyad::kernels {
namespace {

// What AVX-512 has beyond its plain form, each with those before it: bytes times bytes, and pairs
// of bfloat16. Only the kernels of those arithmetics differ.
enum class Extra { kNone, kVnni, kBf16 };
struct Isa {
  std::string_view name;
  int64_t target;
  Extra extra = Extra::kNone;
};

// Best first.
const std::vector<Isa>& Isas() {
  static const auto* const isas = new std::vector<Isa> {
#if HWY_ARCH_X86
    {"avx512_bf16", HWY_AVX3, Extra::kBf16}, {"avx512_vnni", HWY_AVX3, Extra::kVnni},
        {"avx512", HWY_AVX3}, {"avx2", HWY_AVX2},
#else
    {"neon", HWY_NEON},
#endif
        {"scalar", HWY_STATIC_TARGET},
  };
  return *isas;
}

// What the processor runs, before anything is forced.
int64_t RunnableTargets() {
  static const int64_t targets = (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET;
  return targets;
}

Extra BestExtra() {
#if HWY_ARCH_X86
  if (__builtin_cpu_supports("avx512vnni") == 0) return Extra::kNone;
  return __builtin_cpu_supports("avx512bf16") != 0 ? Extra::kBf16 : Extra::kVnni;
#else
  return Extra::kNone;
#endif
}

bool Runs(const Isa& isa) {
  return (RunnableTargets() & isa.target) != 0 && isa.extra <= BestExtra();
}

// The best that runs here, until one is forced.
std::atomic<Extra>& ChosenExtra() {
  static std::atomic<Extra> extra = BestExtra();
  return extra;
}

}  // namespace

std::vector<std::string_view> SupportedIsas() {
  std::vector<std::string_view> names;
  for (const Isa& isa : Isas()) {
    if (Runs(isa)) names.push_back(isa.name);
  }
  return names;
}

bool ForceIsa(std::string_view name) {
  for (const Isa& isa : Isas()) {
    if (isa.name != name || !Runs(isa)) continue;
    hwy::GetChosenTarget().Update(isa.target);
    ChosenExtra() = isa.extra;
    return true;
  }
  return false;
}

bool MultipliesBytes() { return CurrentIsa() == "avx512_bf16" || CurrentIsa() == "avx512_vnni"; }

bool MultipliesPairs() { return CurrentIsa() == "avx512_bf16"; }

std::string_view CurrentIsa() {
  // Index 0 of a dispatch table chooses, the following ones are targets from the best on.
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(RunnableTargets());
  for (const Isa& isa : Isas()) {
    hwy::ChosenTarget of_isa;
    of_isa.Update(isa.target);
    if (of_isa.GetIndex() != chosen.GetIndex()) continue;
    if (isa.extra == Extra::kNone || isa.extra == ChosenExtra()) return isa.name;
  }
  return "scalar";
}

}  // namespace dyad::kernels
