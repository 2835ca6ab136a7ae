// Which build this is.
#pragma once

namespace dyad {

const char* Version();  // "0.1.0"

// Abbreviated, "-dirty" behind it if files were changed; "unknown" if built outside of a clone.
const char* Commit();

}  // namespace dyad
