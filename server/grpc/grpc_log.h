// What gRPC and libprotobuf have to say, as lines of the server's log.
#pragma once

#include "server/base/log_line.h"

namespace dyad {

// Both libraries print text of their own to stderr unless told otherwise. Their lines become events
// "grpc" and "protobuf" with the fields `message` and `source`, at the level they give. `log` is
// called from any thread until the next call of this; an empty one drops what they say.
void SetLibraryLog(LogFunction log);

}  // namespace dyad
