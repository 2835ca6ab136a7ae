// The only source that is compiled anew for each commit.
#include "server/version.h"

#include "server_commit.h"

namespace dyad {

const char* Version() { return DYAD_VERSION; }

const char* Commit() { return DYAD_COMMIT; }

}  // namespace dyad
