// Pairs of certificate and key for tests, made by the openssl command line.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/certificates.h"
#include "server/base/mutex.h"

namespace dyad::testing {

inline std::string Read(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class CertificateFilesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::system("openssl version > /dev/null 2>&1") != 0) return;
    std::string name = std::filesystem::temp_directory_path() / "dyad_tls_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    // Each signs itself and is its own authority: "other" stands for the rotated pair.
    for (const char* pair : {"server", "other", "client", "stranger"}) {
      const std::string command = absl::StrCat(
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
          "-subj /CN=",
          pair, " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ", Path(pair, ".key"),
          " -out ", Path(pair, ".pem"), " > /dev/null 2>&1");
      ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }
  }
  static void TearDownTestSuite() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void SetUp() override {
    if (folder_.empty()) GTEST_SKIP() << "needs the openssl command";
  }

  static std::string Path(const std::string& pair, const std::string& suffix) {
    return folder_ / (pair + suffix);
  }
  static std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  LogFunction Log() {
    return [this](LogLevel, const std::string& event, const std::vector<LogField>& fields) {
      MutexLock lock(&mutex_);
      log_ += event;
      for (const LogField& field : fields) {
        if (const auto* text = std::get_if<FieldText>(&field.value)) log_ += " " + text->text;
      }
      log_ += "\n";
    };
  }
  std::string Logged() {
    MutexLock lock(&mutex_);
    return log_;
  }

  static inline std::filesystem::path folder_;
  Mutex mutex_;
  std::string log_;
};

}  // namespace dyad::testing
