// A stack of free pages and a doubly linked list of idle ones, threaded through one array.
#include "server/engine/page_pool.h"

#include <cassert>
#include <numeric>

namespace dyad::engine {

PagePool::PagePool(int32_t pages) : pages_(pages), free_(pages) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

int32_t PagePool::Take() {
  assert(available() > 0);
  int32_t page = oldest_idle_;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else {
    UnlinkIdle(page);
  }
  pages_[page].kept = false;
  pages_[page].holders = 1;
  return page;
}

void PagePool::Hold(int32_t page) {
  assert(pages_[page].holders > 0 || pages_[page].kept);
  if (pages_[page].holders++ == 0) UnlinkIdle(page);
}

void PagePool::Release(int32_t page) {
  assert(pages_[page].holders > 0);
  if (--pages_[page].holders > 0) return;
  if (pages_[page].kept) {
    LinkIdle(page);
  } else {
    free_.push_back(page);
  }
}

void PagePool::Keep(int32_t page) {
  assert(pages_[page].holders > 0);
  pages_[page].kept = true;
}

void PagePool::Forget(int32_t page) {
  if (!pages_[page].kept) return;
  pages_[page].kept = false;
  if (pages_[page].holders > 0) return;
  UnlinkIdle(page);
  free_.push_back(page);
}

void PagePool::LinkIdle(int32_t page) {
  pages_[page].before = newest_idle_;
  pages_[page].after = kNone;
  (newest_idle_ == kNone ? oldest_idle_ : pages_[newest_idle_].after) = page;
  newest_idle_ = page;
  ++idle_;
}

void PagePool::UnlinkIdle(int32_t page) {
  const Page& links = pages_[page];
  (links.before == kNone ? oldest_idle_ : pages_[links.before].after) = links.after;
  (links.after == kNone ? newest_idle_ : pages_[links.after].before) = links.before;
  --idle_;
}

}  // namespace dyad::engine
