// Races: may two accesses to the same bytes, one of them a write, happen in any order?
//
// Only in check mode. A cell for every four bytes of shared and global memory remembers who wrote
// and who read them last. Threads run one after the other here, so what counts is not what
// happened but what had to: an access came before another one of
//   - the same thread,
//   - a thread of the same warp, if a __syncwarp of that warp stood between them,
//   - a thread of the same block, if a __syncthreads stood between them,
//   - a later block, if the earlier block published it and the later one learnt of that.
//
// A block publishes by __threadfence and then an atomic on some counter; another block learns of
// it by its own atomic on the same counter. So the last block of a sum may read what the others
// wrote. A fence covers what its thread did before it, and what the block did before the last
// barrier before it; an atomic hands on the fences of its own thread, and those of other threads
// that a barrier puts before it.
//
// Time is a count of barriers and fences: the machine's clock stands still between two of them.
#pragma once

namespace emulator {

struct Event {  // an access, a fence, or an atomic on a counter
  uint32_t block;  // 0: there was none
  uint32_t time;
  uint16_t thread;

  bool operator==(const Event& other) const {
    return block == other.block && time == other.time && thread == other.thread;
  }
};

enum class Readers : uint8_t { one_thread, one_warp, one_block, many_blocks };

struct Cell {  // what is known of four bytes; a mask has a bit for each of them
  Event write;
  Event read;
  uint8_t write_mask;
  uint8_t read_mask;
  uint8_t defined_mask;
  bool written_by_atomic;
  Readers readers;  // since the write; `read` is the last of them
};

// -- what blocks publish --------------------------------------------------------------------------

struct Release {
  const void* counter;
  std::vector<uint32_t> until;  // of each thread what it did before then is published
};

struct Acquisition {
  const void* counter;
  Event event;
};

struct Publication {
  std::vector<std::vector<Release>> releases;  // of each block
  std::vector<const void*> counters;           // of all releases
  std::vector<Acquisition> acquisitions;       // of the block that is running
  bool fenced;                                 // has this block fenced anything?
};

static Publication publication;

uint32_t tick() { return ++machine.now; }

// What the current thread does now.
static Event this_event() { return {machine.block, machine.now, machine.current->number}; }

static bool came_before(const Event& event);

static bool was_published(const Event& event) {
  if (event.block >= publication.releases.size()) return false;
  for (const Acquisition& acquisition : publication.acquisitions) {
    if (!came_before(acquisition.event)) continue;
    for (const Release& release : publication.releases[event.block]) {
      if (release.counter == acquisition.counter && event.time < release.until[event.thread]) {
        return true;
      }
    }
  }
  return false;
}

static uint32_t warp_synchronised(const Thread& thread) {
  return machine.warps[thread.number / warp_width].synchronised;
}

static bool same_warp(uint16_t a, uint16_t b) { return a / warp_width == b / warp_width; }

// Had the event to happen before what the current thread does now?
static bool came_before(const Event& event) {
  if (event.block != machine.block) return was_published(event);
  const Thread& thread = *machine.current;
  return event.thread == thread.number || event.time < machine.block_synchronised ||
         (same_warp(event.thread, thread.number) && event.time < warp_synchronised(thread));
}

static void note_fence() {
  Thread& thread = *machine.current;
  thread.fence_covers = machine.block_synchronised;
  thread.fence_time = tick();
  publication.fenced = true;
}

static void release_through(const void* counter) {
  Release release{counter, std::vector<uint32_t>(machine.thread_count)};
  uint32_t covered = 0;  // of all threads
  for (int i = 0; i < machine.thread_count; i++) {
    const Thread& other = machine.threads[i];
    Event fence{machine.block, other.fence_time, other.number};
    if (other.fence_time == 0 || !came_before(fence)) continue;
    release.until[i] = other.fence_time;
    covered = std::max(covered, other.fence_covers);
  }
  for (uint32_t& until : release.until) until = std::max(until, covered);
  publication.releases.resize(std::max<size_t>(publication.releases.size(), machine.block + 1));
  publication.releases[machine.block].push_back(std::move(release));
}

static void note_atomic(const void* counter) {
  auto& counters = publication.counters;
  bool known = std::find(counters.begin(), counters.end(), counter) != counters.end();
  tick();
  if (known) publication.acquisitions.push_back({counter, this_event()});
  if (publication.fenced) {
    release_through(counter);
    if (!known) counters.push_back(counter);
  }
}

static void note_new_block() {
  publication.acquisitions.clear();
  publication.fenced = false;
}

// -- cells ----------------------------------------------------------------------------------------

// Had all reads since the last write to happen before what the current thread does now?
static bool reads_came_before(const Cell& cell) {
  const Event& read = cell.read;
  const Thread& thread = *machine.current;
  if (cell.readers == Readers::many_blocks) return false;
  if (read.block != machine.block || cell.readers == Readers::one_thread) return came_before(read);
  if (read.time < machine.block_synchronised) return true;
  return cell.readers == Readers::one_warp && same_warp(read.thread, thread.number) &&
         read.time < warp_synchronised(thread);
}

static void remember_read(Cell& cell, uint8_t mask) {
  Event now = this_event();
  Event last = cell.read;
  bool replaces = last.block == 0 || (reads_came_before(cell) && !(last == now));
  cell.read = now;
  if (replaces) {  // whoever comes after this read comes after those before it
    cell.readers = Readers::one_thread;
    cell.read_mask = mask;
    return;
  }
  cell.read_mask |= mask;
  if (last.block != now.block) {
    cell.readers = Readers::many_blocks;
  } else if (last.thread != now.thread) {
    bool near = same_warp(last.thread, now.thread);
    cell.readers = std::max(cell.readers, near ? Readers::one_warp : Readers::one_block);
  }
}

static void remember_write(Cell& cell, uint8_t mask, bool atomic) {
  cell.write_mask = cell.write == this_event() ? cell.write_mask | mask : mask;
  cell.write = this_event();
  cell.written_by_atomic = atomic;
  cell.defined_mask |= mask;
  cell.read = Event();
  cell.read_mask = 0;
  cell.readers = Readers::one_thread;
}

static constexpr const char* read_after_write = "read after write";
static constexpr const char* write_after_write = "write after write";
static constexpr const char* write_after_read = "write after read";

// What is wrong with this access to some bytes of a cell? Null if nothing is.
static const char* fault(const Cell& cell, uint8_t mask, Kind kind) {
  bool both_atomic = kind == Kind::atomic && cell.written_by_atomic;
  if ((cell.write_mask & mask) && !both_atomic && !came_before(cell.write)) {
    return kind == Kind::read ? read_after_write : write_after_write;
  }
  if (kind != Kind::read && (cell.read_mask & mask) && !reads_came_before(cell)) {
    return write_after_read;
  }
  return nullptr;
}

}  // namespace emulator
