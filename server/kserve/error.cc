// What routes/http_error.h says, as the protocol's clients read it.
#include "server/kserve/error.h"

#include "server/routes/http_error.h"
#include "server/routes/json_body.h"

namespace dyad {

HttpResponse KserveError(const absl::Status& status) {
  const HttpError error = ToHttpError(status);
  return ErrorResponse(error, JsonBytes({{"error", error.message}}));
}

}  // namespace dyad
