// An exception that leaves a thread ends the process: none does.
#include "client/threads.h"

#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dyad::client {

void RunThreads(int64_t count, const std::function<void(int64_t number)>& work,
                const std::function<void(const absl::Status& failure)>& on_failure) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  const auto run = [&](int64_t number) {
    try {
      work(number);
    } catch (const std::exception& error) {
      on_failure(absl::InternalError(error.what()));
    }
  };
  for (int64_t number = 0; number < count; ++number) {
    try {
      threads.emplace_back(run, number);
    } catch (const std::system_error& error) {
      on_failure(
          absl::InternalError(absl::StrCat("cannot start thread ", number + 1, " of ", count,
                                           "; ask for fewer at once: ", error.code().message())));
      break;
    }
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace dyad::client
