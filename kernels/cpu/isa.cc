// The choice of instruction set: declared in kernels/isa.h, used by every kernel.
#include "kernels/cpu/targets.h"
//
#include "hwy/highway.h"
#include "kernels/cpu/linear.h"

namespace dyad::kernels {
namespace {

struct Isa {
  std::string_view name;
  int64_t target;
};

// Best first.
const std::vector<Isa>& Isas() {
  static const auto* const isas = new std::vector<Isa> {
#if HWY_ARCH_X86
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

}  // namespace

std::vector<std::string_view> SupportedIsas() {
  std::vector<std::string_view> names;
  for (const Isa& isa : Isas()) {
    if ((RunnableTargets() & isa.target) != 0) names.push_back(isa.name);
  }
  return names;
}

bool ForceIsa(std::string_view name) {
  for (const Isa& isa : Isas()) {
    if (isa.name != name || (RunnableTargets() & isa.target) == 0) continue;
    hwy::GetChosenTarget().Update(isa.target);
    return true;
  }
  return false;
}

std::string_view CurrentIsa() {
  // Index 0 of a dispatch table chooses, the following ones are targets from the best on.
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(RunnableTargets());
  for (const Isa& isa : Isas()) {
    hwy::ChosenTarget of_isa;
    of_isa.Update(isa.target);
    if (of_isa.GetIndex() == chosen.GetIndex()) return isa.name;
  }
  return "scalar";
}

}  // namespace dyad::kernels
