// Is an access to memory allowed? Only in check mode, where every access of a kernel asks.
//
// A kernel may use the arrays it was given, its shared memory, its own variables (they live on the
// threads' stacks) and constants of the module. Arrays and dynamic shared memory are private copies
// with wide margins, so what runs over the end of one does not land in another.
#pragma once

namespace emulator {

constexpr size_t margin = 1 << 20;  // it costs nothing, as it is never touched
constexpr size_t alignment = 256;   // of arrays, as on a GPU

// A stretch of memory that threads have in common.
struct Space {
  const char* name;  // as errors call it
  int buffer;        // its number among the arrays, or -1
  char* begin;
  char* end;
  Cell* cells;  // for every 4 bytes from `begin`
};

static std::vector<Space> spaces;
static Space* latest;  // the one used last is likely the next

static Cell* new_cells(size_t bytes) {
  return static_cast<Cell*>(calloc(bytes / 4 + 1, sizeof(Cell)));
}

static void watch(const char* name, int buffer, char* begin, size_t bytes) {
  spaces.push_back({name, buffer, begin, begin + bytes, new_cells(bytes)});
  latest = &spaces[0];
}

static void unwatch_all() {
  for (Space& space : spaces) free(space.cells);
  spaces.clear();
}

// A new block knows nothing of the shared memory of the last one.
static void forget(Space& space) {
  memset(static_cast<void*>(space.cells), 0, ((space.end - space.begin) / 4 + 1) * sizeof(Cell));
}

static bool holds(const Space& space, const char* address, size_t bytes) {
  return address >= space.begin && address + bytes <= space.end;
}

static Space* space_of(const char* address, size_t bytes) {
  if (holds(*latest, address, bytes)) return latest;
  for (Space& space : spaces) {
    if (holds(space, address, bytes)) return latest = &space;
  }
  return nullptr;
}

static bool on_a_stack(const char* address) {
  return uint64_t(address - machine.stacks) < most_threads * machine.stack_bytes;
}

static ptrdiff_t distance(const Space& space, const char* address) {
  return address < space.begin ? space.begin - address : address - space.end;
}

static void fail_outside(const char* address, size_t bytes, Kind kind, Place place) {
  const char* verb = kind == Kind::read ? "read" : "write";
  const Space* nearest = &spaces[0];
  for (const Space& space : spaces) {
    if (distance(space, address) < distance(*nearest, address)) nearest = &space;
  }
  if (distance(*nearest, address) < ptrdiff_t(margin)) {
    complain(place, nearest->buffer, "out-of-bounds %s of %zu bytes at byte %td of %s", verb, bytes,
             address - nearest->begin, nearest->name);
  } else {
    complain(place, -1, "out-of-bounds %s of %zu bytes at %p, far from any array", verb, bytes,
             static_cast<const void*>(address));
  }
  give_up();
}

static void fail_race(const Space& space, const Cell& cell, const char* fault, size_t byte,
                      Place place) {
  bool was_read = fault == write_after_read;
  const Event& other = was_read ? cell.read : cell.write;
  char who[64];
  if (was_read && cell.readers != Readers::one_thread) {
    snprintf(who, sizeof who, "several threads");
  } else {
    snprintf(who, sizeof who, "thread %d of %s block", other.thread,
             other.block == machine.block ? "the same" : "another");
  }
  complain(place, space.buffer,
           "data race (%s) at byte %zu of %s: %s %s it, and nothing keeps the two in order", fault,
           byte, space.name, who, was_read ? "read" : "wrote");
  give_up();
}

// Visit the cells of some bytes: visit(cell, mask of the bytes, the first byte).
template <class Visit>
static void for_cells(Space& space, const char* address, size_t bytes, Visit visit) {
  size_t byte = address - space.begin;
  size_t end = byte + bytes;
  while (byte < end) {
    size_t in_cell = byte % 4;
    size_t count = std::min(4 - in_cell, end - byte);
    visit(space.cells[byte / 4], uint8_t(((1 << count) - 1) << in_cell), byte);
    byte += count;
  }
}

void check_access(const void* pointer, size_t bytes, Kind kind, Place place) {
  if (!machine.current) return;  // not in a kernel
  const char* address = static_cast<const char*>(pointer);
  if (on_a_stack(address)) return;
  Space* space = space_of(address, bytes);
  if (!space) {
    bool in_the_module = address >= __ehdr_start && address < _end;
    if (in_the_module && kind == Kind::read) return;
    fail_outside(address, bytes, kind, place);
  }
  bool shared = space->buffer < 0;
  for_cells(*space, address, bytes, [&](Cell& cell, uint8_t mask, size_t byte) {
    if (shared && kind != Kind::write && (cell.defined_mask & mask) != mask) {
      complain(place, -1, "read of uninitialised %s at byte %zu", space->name, byte);
      give_up();
    }
    if (const char* found = fault(cell, mask, kind)) fail_race(*space, cell, found, byte, place);
    if (kind == Kind::read) {
      remember_read(cell, mask);
    } else {
      remember_write(cell, mask, kind == Kind::atomic);
    }
  });
}

static bool is_global(const void* pointer) {
  Space* space = space_of(static_cast<const char*>(pointer), 1);
  return space && space->buffer >= 0;
}

static bool is_shared(const void* pointer) {
  Space* space = space_of(static_cast<const char*>(pointer), 1);
  return space && space->buffer < 0;
}

// What stands in these bytes of shared memory is no longer to be read.
static void undefine(const char* address, size_t bytes) {
  Space* space = space_of(address, bytes);
  for_cells(*space, address, bytes, [](Cell& cell, uint8_t mask, size_t) {
    cell.defined_mask &= ~mask;
  });
}

}  // namespace emulator
