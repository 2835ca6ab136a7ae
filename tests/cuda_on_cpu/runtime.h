// Failures to order of the runtime on the CPU.
#pragma once

namespace dyad::cuda_on_cpu {

// What the runtime is asked for. kRefuse: memory that is not there; the others are errors.
enum class Request { kRefuseMemory, kCopyToDevice, kCopyToHost, kLaunch, kWait };

// The `number`-th of these requests from now on fails, 1 being the next; 0: none does.
void FailAt(Request request, int number);

// How many devices there are from now on; 1 at first.
void SetDevices(int devices);
// Whether devices have bulk copies, as from compute capability 9.0 on; they do unless set.
void SetBulkCopies(bool there);

}  // namespace dyad::cuda_on_cpu
