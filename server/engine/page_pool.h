// Which KV pages are free, which are held by sequences and how often, and which nobody holds but
// whose content may be found again (idle pages, reclaimed in the order of their release).
//
// Knows page numbers only; what pages hold is the prefix tree's business.
#pragma once

#include <cstdint>
#include <vector>

namespace dyad::engine {

// Threads: the engine's only. Cost: every call is O(1).
class PagePool {
 public:
  explicit PagePool(int32_t pages);

  int32_t total() const { return static_cast<int32_t>(pages_.size()); }
  int32_t available() const { return static_cast<int32_t>(free_.size()) + idle_; }  // for Take
  int32_t idle() const { return idle_; }  // part of available(): content kept
  int32_t holders(int32_t page) const { return pages_[page].holders; }

  // A page with one holder: a free one, or else the idle one that was released first; its content
  // is then lost, and it is kept no longer. REQUIRES: available() > 0.
  int32_t Take();

  // One holder more. REQUIRES: the page is held or idle.
  void Hold(int32_t page);

  // One holder less. The last one leaves the page idle if it is kept, else free.
  // REQUIRES: holders(page) > 0.
  void Release(int32_t page);

  // From now on the page outlives its last holder. REQUIRES: holders(page) > 0.
  void Keep(int32_t page);

  // The opposite of Keep; an idle page becomes free.
  void Forget(int32_t page);

 private:
  static constexpr int32_t kNone = -1;

  struct Page {
    int32_t holders = 0;
    bool kept = false;
    int32_t before = kNone;  // in the list of idle pages
    int32_t after = kNone;
  };

  void LinkIdle(int32_t page);
  void UnlinkIdle(int32_t page);

  std::vector<Page> pages_;
  std::vector<int32_t> free_;  // a stack: the page used last is the likeliest to be in a CPU cache
  int32_t idle_ = 0;
  int32_t oldest_idle_ = kNone;
  int32_t newest_idle_ = kNone;
};

}  // namespace dyad::engine
