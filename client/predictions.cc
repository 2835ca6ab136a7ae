// Names and shape are those that collate_preds of babylm/evaluation-pipeline-2025 looks for.
#include "client/predictions.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/replace_file.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;

std::string NameOfInput(const std::string& input) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(input, ignored);
  if (fs::is_directory(path, ignored)) return path.filename().string();
  for (path = path.filename(); !path.extension().empty();) path = path.stem();
  return path.string();
}

}  // namespace

void Predictions::Add(int64_t number, const std::string& row, Json prediction) {
  predictions_[number] = {row, std::move(prediction)};
}

Json Predictions::ToJson() const {
  Json json = Json::object();
  for (const auto& [number, prediction] : predictions_) {
    Json& list = json[prediction.row]["predictions"];
    Json one = {{"id", absl::StrCat(prediction.row, "_", list.size())}};
    one.update(prediction.values);
    list.push_back(std::move(one));
  }
  return json;
}

absl::Status WritePredictions(const std::string& folder, const std::string& task,
                              const std::string& input, const Json& predictions, int64_t failed,
                              std::ostream& err) {
  if (failed > 0) {
    err << "dyadctl: no predictions are written, as items failed\n";
    return absl::OkStatus();
  }
  fs::path path = folder;
  path /= task == "blimp_supplement" ? "blimp" : task;
  if (task != "reading") path /= NameOfInput(input);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot make ", path.string()));
  }
  return ReplaceFile((path / "predictions.json").string(), FormatLine(predictions) + "\n");
}

}  // namespace dyad::client
