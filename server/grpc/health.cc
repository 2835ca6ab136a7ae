// The rules of health, and a thread that applies them.
#include "server/grpc/health.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "server/base/mutex.h"
#include "server/base/steady_clock.h"
#include "server/base/thread.h"

namespace dyad {

std::map<std::string, ServingState> JudgeHealth(Phase phase,
                                                const std::vector<EngineHealth>& engines) {
  const auto state = [](bool serving) {
    return serving ? ServingState::kServing : ServingState::kNotServing;
  };
  const bool admits = phase == Phase::kServing;
  bool alive = true;
  std::map<std::string, ServingState> health;
  for (const EngineHealth& engine : engines) {
    const bool stalled = !engine.stall_reason.empty();
    alive = alive && !stalled;
    health[engine.model] = state(admits && !stalled);
  }
  // Last, so that a model with one of these names cannot take its place.
  health["liveness"] = state(alive);
  health["readiness"] = state(admits && alive);
  health[""] = state(admits && alive);
  return health;
}

class HealthWatch::Impl {
 public:
  Impl(Parts parts, absl::Duration stall_timeout)
      : parts_(std::move(parts)), stall_timeout_(stall_timeout) {
    {
      MutexLock lock(&mutex_);
      Update();
    }
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      MutexLock lock(&mutex_);
      stop_ = true;
      wake_.SignalAll();
    }
    thread_.join();
  }

  void StartDraining() {
    MutexLock lock(&mutex_);
    phase_ = Phase::kDraining;
    Update();
  }

 private:
  void Run() {
    NameThread("health");
    const absl::Duration interval =
        std::clamp(stall_timeout_ / 8, absl::Milliseconds(5), absl::Seconds(1));
    MutexLock lock(&mutex_);
    while (!stop_) {
      wake_.WaitFor(&mutex_, absl::ToChronoNanoseconds(interval));
      if (!stop_) Update();
    }
  }

  // Publishes under the lock, so that a look that began before StartDraining cannot undo it.
  void Update() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::vector<EngineHealth> engines = parts_.look();
    for (const EngineHealth& engine : engines) NoteStall(engine);
    std::map<std::string, ServingState> health = JudgeHealth(phase_, engines);
    for (const auto& [name, state] : health) {
      const auto old = published_.find(name);
      if (old == published_.end() || old->second != state) parts_.publish(name, state);
    }
    published_ = std::move(health);
  }

  void NoteStall(const EngineHealth& engine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto begun = stalls_.find(engine.model);
    if (engine.stall_reason.empty() == (begun == stalls_.end())) return;
    if (begun == stalls_.end()) {
      stalls_[engine.model] = SteadyNow();
      parts_.log(LogLevel::kWarning, "stall began",
                 {{"name", engine.model}, {"reason", engine.stall_reason}});
    } else {
      const double seconds = absl::ToDoubleSeconds(SteadyNow() - begun->second);
      parts_.log(LogLevel::kWarning, "stall ended", {{"name", engine.model}, {"seconds", seconds}});
      stalls_.erase(begun);
    }
  }

  const Parts parts_;
  const absl::Duration stall_timeout_;
  Mutex mutex_;
  CondVar wake_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kServing;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, ServingState> published_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Time> stalls_ ABSL_GUARDED_BY(mutex_);  // when each began
  std::thread thread_;
};

HealthWatch::HealthWatch(Parts parts, absl::Duration stall_timeout)
    : impl_(std::make_unique<Impl>(std::move(parts), stall_timeout)) {}
HealthWatch::~HealthWatch() = default;

void HealthWatch::StartDraining() { impl_->StartDraining(); }

}  // namespace dyad
