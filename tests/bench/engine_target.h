// An engine in this process as the target of a load: what a server does without gRPC.
#pragma once

#include <memory>

#include "server/engine/engine.h"
#include "server/engine/request.h"
#include "tests/bench/load.h"

namespace dyad::bench {

// `engine` must outlive it. Each prompt draws with `sampling`.
std::unique_ptr<Target> EngineTarget(engine::Engine& engine, const engine::Sampling& sampling = {});

}  // namespace dyad::bench
