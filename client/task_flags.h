// Flags that every task of `dyadctl evaluate` has: how its files are read, what else is shown and
// written.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/corpus.h"
#include "client/json_line.h"

namespace dyad::client {

struct TaskFlags {
  std::optional<int64_t> limit = {};
  std::string format = {}, columns = {}, baselines = {}, predictions = {};

  // --limit, --format, --columns, --baselines, --predictions.
  void AddTo(CLI::App& app);

  // How files are read. Errors: UsageError for a --columns that is none.
  absl::StatusOr<CorpusReading> Reading() const;

  // What of them changes which lines there are.
  Json Options() const;
};

// "item=before,word=target" by key. Errors: UsageError naming the piece that is no KEY=COLUMN with
// one of the keys, or that gives a key or a column twice. No keys: any is one.
absl::StatusOr<std::map<std::string, std::string>> ParseColumns(const std::string& text,
                                                                const std::set<std::string>& keys);

}  // namespace dyad::client
