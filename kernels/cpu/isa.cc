// The choice of instruction set: declared in kernels/isa.h, used by every kernel.
#include "kernels/cpu/targets.h"
//
#include <atomic>

#include "hwy/highway.h"
#include "kernels/cpu/integer.h"
#include "kernels/isa.h"

namespace dyad::kernels {
namespace {

// With VNNI or without: the integer kernels differ, the others are the same.
enum class Vnni { kNo, kYes };
struct Isa {
  std::string_view name;
  int64_t target;
  Vnni vnni = Vnni::kNo;
};

// Best first.
const std::vector<Isa>& Isas() {
  static const auto* const isas = new std::vector<Isa> {
#if HWY_ARCH_X86
    {"avx512_vnni", HWY_AVX3, Vnni::kYes}, {"avx512", HWY_AVX3}, {"avx2", HWY_AVX2},
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

bool HasVnni() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

bool Runs(const Isa& isa) {
  return (RunnableTargets() & isa.target) != 0 && (isa.vnni == Vnni::kNo || HasVnni());
}

// The best that runs here, until one is forced.
std::atomic<Vnni>& ChosenVnni() {
  static std::atomic<Vnni> vnni = HasVnni() ? Vnni::kYes : Vnni::kNo;
  return vnni;
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
    ChosenVnni() = isa.vnni;
    return true;
  }
  return false;
}

bool MultipliesBytes() { return CurrentIsa() == "avx512_vnni"; }

std::string_view CurrentIsa() {
  // Index 0 of a dispatch table chooses, the following ones are targets from the best on.
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(RunnableTargets());
  for (const Isa& isa : Isas()) {
    hwy::ChosenTarget of_isa;
    of_isa.Update(isa.target);
    const bool fits = isa.vnni == Vnni::kNo || (Runs(isa) && ChosenVnni() == Vnni::kYes);
    if (of_isa.GetIndex() == chosen.GetIndex() && fits) return isa.name;
  }
  return "scalar";
}

}  // namespace dyad::kernels
