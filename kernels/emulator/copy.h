// cp.async: copies from global to shared memory that are there only after their wait.
//
// Hardware may write at any time between the two, so nobody may use the place meanwhile: it is
// poisoned when the copy is asked for, and gets its contents as late as possible, at the wait.
#pragma once

namespace emulator {

struct Copy {
  char* to;
  const char* from;
  int bytes;
  int from_source;
  Place place;
};

struct Copies {
  std::vector<Copy> open;
  std::vector<size_t> groups;  // how many of `open` there were at each commit
};

static Copies copies[most_threads];

static void finish(const Copy& copy) {
  if (machine.checking) {
    if (copy.from_source) check_access(copy.from, copy.from_source, Kind::read, copy.place);
    check_access(copy.to, copy.bytes, Kind::write, copy.place);
  }
  memcpy(copy.to, copy.from, copy.from_source);
  memset(copy.to + copy.from_source, 0, copy.bytes - copy.from_source);
}

// A thread that ends no longer waits for its copies.
void drop_copies(const Thread& thread) {
  Copies& own = copies[thread.number];
  own.open.clear();
  own.groups.clear();
}

void cp_async(void* to, const void* from, int bytes, int from_source) {
  Place place = EMULATOR_CALLER;
  uintptr_t addresses = uintptr_t(to) | (from_source ? uintptr_t(from) : 0);
  if (addresses % bytes) EMULATOR_FAIL(place, "misaligned cp.async of %d bytes", bytes);
  if (machine.checking) {
    check_access(to, bytes, Kind::write, place);
    if (!is_shared(to)) EMULATOR_FAIL(place, "cp.async into memory that is not shared");
    undefine(static_cast<char*>(to), bytes);
  }
  memset(to, poison_byte, bytes);
  Copy copy{static_cast<char*>(to), static_cast<const char*>(from), bytes, from_source, place};
  copies[machine.current->number].open.push_back(copy);
}

void cp_async_commit() {
  Copies& own = copies[machine.current->number];
  own.groups.push_back(own.open.size());
}

void cp_async_wait(int open_groups) {
  Copies& own = copies[machine.current->number];
  if (own.groups.size() <= size_t(open_groups)) return;
  size_t groups = own.groups.size() - open_groups;
  size_t count = own.groups[groups - 1];
  for (size_t i = 0; i < count; i++) finish(own.open[i]);
  own.open.erase(own.open.begin(), own.open.begin() + count);
  own.groups.erase(own.groups.begin(), own.groups.begin() + groups);
  for (size_t& end : own.groups) end -= count;
}

}  // namespace emulator
