// The Open Inference Protocol over HTTP. Contract and reasons: server/kserve/README.md.
#pragma once

#include "server/routes/route.h"

namespace dyad {

RouteFamily KserveRoutes();

}  // namespace dyad
