// The state of the machine: one block of threads, and what a launch says and hears.
#pragma once

namespace emulator {

constexpr int most_threads = 1024;  // of a block
constexpr int warp_width = 32;
constexpr int most_warps = most_threads / warp_width;
constexpr size_t most_shared_bytes = 227 << 10;  // dynamic, of a block; as in launch.py
constexpr int poison_byte = 0xff;  // in shared memory at first: no number as a float, -1 as an int

using Place = const void*;  // in the code of a kernel; module.py makes file and line of it

// Where the function that says this was called from.
#define EMULATOR_CALLER __builtin_return_address(0)

// -- what Python passes; the same fields stand in launch.py ---------------------------------------

struct Report {  // what went wrong
  char text[512];  // "<buffer>" in it stands for the description of `buffer`
  uint64_t place;  // from the beginning of the module, 0 if unknown
  int32_t buffer;
  int32_t in_thread;  // else it is about the whole block
  uint32_t block[3];
  uint32_t thread[3];
};

struct Buffer {  // an array's memory
  char* address;
  uint64_t bytes;
  int32_t is_written;  // it goes to a parameter that is not const
};

enum class Schedule : int32_t { order, reverse, random };

struct Launch {
  uint32_t grid[3];
  uint32_t block[3];
  uint64_t shared_bytes;
  uint64_t seed;
  Schedule schedule;
  int32_t checking;
  int32_t slot_count;
  int32_t buffer_count;
  uint64_t* slots;        // the arguments
  Buffer* buffers;        // only in check mode
  int32_t* slot_buffers;  // the buffer that a slot points into, or -1; only in check mode
  Report* report;
  char* stacks;           // for the most threads of a block
  uint64_t stack_bytes;   // of each
};

// -- threads and warps ----------------------------------------------------------------------------

enum class State : uint8_t { fresh, ready, at_barrier, at_warp_operation, done };

struct Thread {
  void* stack_pointer;    // where it goes on
  int stack;              // the number of its stack
  uint3 index;            // threadIdx
  uint16_t number;        // in its block
  uint8_t lane;
  State state;
  int barrier_line;       // of the barrier it waits at
  Place place;            // where it waits
  uint32_t fence_time;    // of its last __threadfence, 0 before that
  uint32_t fence_covers;  // what the block did before then is fenced too; see race.h
};

// What a lane brings to a warp operation, and where it finds its result.
struct Request {
  const char* operation;
  unsigned mask;
  Place place;
  void* data;
};

struct Warp {
  unsigned existing;  // lanes: a block may end within its last warp
  unsigned arrived;   // lanes that wait for the others
  Request requests[warp_width];
  uint32_t synchronised;  // when its last __syncwarp was
};

struct Machine {
  bool checking;
  bool failed;
  Report* report;

  // the block that is running
  void (*kernel)(const uint64_t* slots);
  uint64_t slots[most_parameters];
  uint32_t block;  // its number, from 1
  int thread_count;
  int alive;
  Thread threads[most_threads];
  Warp warps[most_warps];
  Thread* current;  // null in the scheduler
  char* dynamic_shared;
  uint64_t dynamic_shared_bytes;

  // the scheduler
  Schedule schedule;
  uint64_t random;
  void* scheduler_stack_pointer;
  char* stacks;
  uint64_t stack_bytes;
  int free_stacks[most_threads];
  int free_stack_count;
  uint16_t ready[most_threads];  // a ring of the threads that may go on
  unsigned ready_begin;
  unsigned ready_end;

  // time, for race.h: a count of barriers and fences
  uint32_t now;
  uint32_t block_synchronised;  // when the last barrier was
};

inline Machine machine;

// -- what its parts do for each other -------------------------------------------------------------

// scheduler.h
void run_block();
void make_ready(Thread& thread);
void wait_as(State state, Place place);
[[noreturn]] void give_up();

// copy.h
void drop_copies(const Thread& thread);

// access.h
enum class Kind : uint8_t { read, write, atomic };
void check_access(const void* address, size_t bytes, Kind kind, Place place);

// race.h
uint32_t tick();

// -- errors ---------------------------------------------------------------------------------------

// The linker's names for where the module begins and ends.
extern "C" const char __ehdr_start[];
extern "C" const char _end[];

// Only the first complaint counts: the launch ends with it.
__attribute__((format(printf, 3, 4)))
inline void complain(Place place, int buffer, const char* format, ...) {
  if (machine.failed) return;
  machine.failed = true;
  Report& report = *machine.report;
  va_list values;
  va_start(values, format);
  vsnprintf(report.text, sizeof report.text, format, values);
  va_end(values);
  report.buffer = buffer;
  // a place is where a call returns to; the call stands before it
  report.place = place ? uint64_t(static_cast<const char*>(place) - __ehdr_start - 1) : 0;
  report.block[0] = blockIdx.x;
  report.block[1] = blockIdx.y;
  report.block[2] = blockIdx.z;
  report.in_thread = machine.current != nullptr;
  report.thread[0] = threadIdx.x;
  report.thread[1] = threadIdx.y;
  report.thread[2] = threadIdx.z;
}

// Complain in a thread, which ends with it.
#define EMULATOR_FAIL(place, ...)                    \
  do {                                               \
    emulator::complain((place), -1, __VA_ARGS__);    \
    emulator::give_up();                             \
  } while (0)

}  // namespace emulator
