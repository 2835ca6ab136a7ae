// Standard input, output and error of a program: what is printed arrives, or the program says that
// it did not.
#pragma once

namespace dyad {

// Call first in main. A descriptor that the caller closed would be given to the next file or
// connection, which would then get what is printed; after this, reading and printing fail as on a
// closed one. A reader that has gone is a failed write from now on, not a signal.
void PrepareStandardStreams();

// When the process exits, by main or by exit: if something that was printed to standard output did
// not arrive, one line on standard error and exit status 1. Call once. `program` begins the line
// and must outlive the process's exit.
void CheckStandardOutputAtExit(const char* program);

}  // namespace dyad
