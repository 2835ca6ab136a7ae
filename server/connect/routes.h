// Every unary method of dyad.v1 for whoever can post JSON. Contract and reasons:
// server/connect/README.md.
#pragma once

#include "server/routes/route.h"

namespace dyad {

RouteFamily ConnectRoutes();

}  // namespace dyad
