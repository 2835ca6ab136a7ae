// Does a device compute what it should? Each operator on a small problem with awkward sizes,
// against the reference device: a compiler, a processor or an emulator that gets an instruction
// wrong shows here rather than in scores.
#pragma once

#include <functional>
#include <memory>

#include "kernels/device.h"

namespace dyad::kernels::reference {

using MakeDevice = std::function<std::unique_ptr<Device>()>;

// Checks devices that `make` makes. Cost: some milliseconds. Empty: all agree within the rounding
// of their sums. Else the operator, what was found and what was expected.
Fault CheckDevice(const MakeDevice& make);

}  // namespace dyad::kernels::reference
