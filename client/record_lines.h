// The records of a CSV or TSV file as JSON objects, keyed by the first record's cells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/csv.h"
#include "client/json_line.h"

namespace dyad::client {

// One thread.
class RecordLines {
 public:
  // `name` begins every message.
  RecordLines(std::string name, char separator, ByteSource source)
      : name_(name), reader_(std::move(name), separator, std::move(source)) {}

  // The first record, before all others. Errors: as CsvReader; InvalidArgument for a file without
  // one, and for a name that stands twice, with line and column.
  absl::StatusOr<std::vector<std::string>> ReadColumns();

  // The next record, every value a string; nothing at the end. Errors: as CsvReader;
  // InvalidArgument with line and column for a record of more or fewer cells than the first one.
  absl::StatusOr<std::optional<Json>> Next();

  // The first line of the record that Next gave last, from 1.
  int64_t line() const { return reader_.line(); }

 private:
  const std::string name_;
  CsvReader reader_;
  std::vector<std::string> columns_;
};

}  // namespace dyad::client
