// A running server's HTTP door as the target of a load: the requests of server_target.h as
// completions, generated text as a stream of events.
#pragma once

#include <memory>
#include <string>

#include "tests/bench/load.h"
#include "tests/bench/server_target.h"

namespace dyad::bench {

// `options.address` is the door's, plaintext; `options.model` is named. As many connections are
// opened as requests are in flight, and kept. A failure to reach the server shows in the requests.
std::unique_ptr<Target> HttpTarget(const ServerTargetOptions& options);

}  // namespace dyad::bench
