// dyadctl: the command line client. Everything is in client/dyadctl.h; this is the process.
#include <grpc/support/log.h>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client/dyadctl.h"
#include "google/protobuf/stubs/logging.h"
#include "server/base/console.h"
#include "server/base/standard_streams.h"

int main(int argc, char** argv) {
  dyad::PrepareStandardStreams();
  // What goes wrong is a command's one line; libraries would write their own between.
  gpr_set_log_function([](gpr_log_func_args*) {});
  google::protobuf::SetLogHandler(nullptr);
  std::ios::sync_with_stdio(false);
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    return dyad::client::RunDyadctl(words, dyad::ProcessConsole());
  } catch (const std::exception& error) {
    std::cerr << "dyadctl: " << error.what() << '\n';
    return 1;
  }
}
