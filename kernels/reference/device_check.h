// Does a device compute what it should? Each operator on a small problem with awkward sizes,
// against the reference device: a compiler, a processor or an emulator that gets an instruction
// wrong shows here rather than in scores.
#pragma once

#include "kernels/device.h"

namespace dyad::kernels::reference {

// Checks a fresh device with keys and values of `type`. Cost: some milliseconds. Empty: all agree
// within the rounding of their sums. Else the operator, what was found and what was expected.
Fault CheckDevice(Device& device, KvType type);

}  // namespace dyad::kernels::reference
