// What happens when nothing else does: exceptions that nobody caught, and aborts.
#pragma once

namespace dyad {

// From now on an exception that leaves a thread, main's or any other, ends the process with status
// 1 and a last line that says what it was. A library that aborts gets the time to have its reason
// logged. Call first in main.
void PrepareLastResort();

}  // namespace dyad
