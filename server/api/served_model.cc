// The list of served models and how one is named.
#include "server/api/served_model.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/api/request_error.h"

namespace dyad {

ModelRegistry::ModelRegistry(std::vector<ServedModel> models) : models_(std::move(models)) {}

absl::StatusOr<const ServedModel*> ModelRegistry::Find(std::string_view name) const {
  if (name.empty() && models_.size() == 1) return &models_.front();
  for (const ServedModel& model : models_) {
    if (model.name == name) return &model;
  }
  const std::string names = absl::StrJoin(
      models_, ", ", [](std::string* out, const ServedModel& model) { out->append(model.name); });
  return WithReason(
      absl::NotFoundError(
          name.empty()
              ? absl::StrCat("model is empty; this server has several: ", names)
              : absl::StrCat("model is ", Shortened(name, 100), "; this server has: ", names)),
      "MODEL_NOT_FOUND");
}

}  // namespace dyad
