// Columns are found by their place, and named once.
#include "client/record_lines.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {

absl::StatusOr<std::vector<std::string>> RecordLines::ReadColumns() {
  ASSIGN_OR_RETURN(auto record, reader_.Next());
  if (!record.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, " is empty: its first line must name the columns"));
  }
  columns_ = *std::move(record);
  for (size_t i = 0; i < columns_.size(); ++i) {
    const auto first = std::find(columns_.begin(), columns_.end(), columns_[i]);
    if (first == columns_.begin() + static_cast<std::ptrdiff_t>(i)) continue;
    return absl::InvalidArgumentError(Text(name_, ": line ", reader_.line(), ", column ", i + 1,
                                           ": the name ", Quoted(columns_[i]), " stands twice"));
  }
  return columns_;
}

absl::StatusOr<std::optional<Json>> RecordLines::Next() {
  ASSIGN_OR_RETURN(auto record, reader_.Next());
  if (!record.has_value()) return std::nullopt;
  if (record->size() != columns_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(name_, ": line ", reader_.line(), ", column ",
                                                   std::min(record->size(), columns_.size()) + 1,
                                                   ": the record has ", record->size(),
                                                   " columns, the first line ", columns_.size()));
  }
  Json row = Json::object();
  for (size_t i = 0; i < columns_.size(); ++i) row[columns_[i]] = std::move((*record)[i]);
  return row;
}

}  // namespace dyad::client
