// What models are loaded with: options of the server, and memory that is there for them.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/base/log_line.h"
#include "server/host.h"
#include "server/model/model_options.h"
#include "server/options.h"

namespace dyad {

// For every model. `device_bytes`: free memory of the device; 0: it uses the host's. A limit of the
// host that cannot be read, and memory that will be nearly full, are warnings. Errors: an
// unreadable checkpoint; ResourceExhausted: models, or models and KV caches, that do not fit.
absl::StatusOr<ModelOptions> OptionsOfModels(const Options& options, const Host& host,
                                             int64_t device_bytes, const LogFunction& log);

// What is wrong with a model, and with which.
absl::Status OfModel(const ModelSource& source, const Options& options, const absl::Status& status);

}  // namespace dyad
