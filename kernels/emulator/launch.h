// A launch: the blocks of a grid one after the other.
#pragma once

namespace emulator {

// Shared arrays of fixed size stand between these two; compiler.py tells the linker so.
extern "C" char emulator_shared_begin[];
extern "C" char emulator_shared_end[];

// Memory for an array between two margins.
struct Padded {
  std::unique_ptr<char[]> memory;
  char* begin;

  explicit Padded(size_t bytes)
      : memory(new char[bytes + 2 * margin + alignment]), begin(aligned(memory.get() + margin)) {}

  static char* aligned(char* address) {
    return address + (alignment - uintptr_t(address) % alignment) % alignment;
  }
};

static void number_threads() {
  machine.thread_count = blockDim.x * blockDim.y * blockDim.z;
  machine.free_stack_count = 0;
  for (int i = most_threads; i-- > 0;) machine.free_stacks[machine.free_stack_count++] = i;
  for (int i = 0; i < machine.thread_count; i++) {
    Thread& thread = machine.threads[i];
    thread.number = i;
    thread.lane = i % warp_width;
    thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    drop_copies(thread);
  }
  for (int i = 0; i * warp_width < machine.thread_count; i++) {
    int lanes = std::min(machine.thread_count - i * warp_width, warp_width);
    machine.warps[i].existing = lanes == warp_width ? ~0u : (1u << lanes) - 1;
  }
}

static size_t static_shared_bytes() { return emulator_shared_end - emulator_shared_begin; }

// What a block leaves in its shared memory is of no use to the next.
static void begin_shared_memory() {
  memset(machine.dynamic_shared, poison_byte, machine.dynamic_shared_bytes);
  memset(emulator_shared_begin, poison_byte, static_shared_bytes());
  if (machine.checking) {
    forget(spaces[0]);
    forget(spaces[1]);
  }
}

// The numbers of the blocks in the order in which they run.
static std::vector<uint32_t> block_order(uint32_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (machine.schedule == Schedule::reverse) std::reverse(order.begin(), order.end());
  if (machine.schedule == Schedule::random) {
    for (uint32_t i = count; i > 1; i--) std::swap(order[i - 1], order[random_below(i)]);
  }
  return order;
}

static void run_grid() {
  number_threads();
  for (uint32_t number : block_order(gridDim.x * gridDim.y * gridDim.z)) {
    blockIdx.x = number % gridDim.x;
    blockIdx.y = number / gridDim.x % gridDim.y;
    blockIdx.z = number / (gridDim.x * gridDim.y);
    machine.block = number + 1;
    begin_shared_memory();
    note_new_block();
    run_block();
    if (machine.failed) return;
  }
}

// Run on private copies of the arrays, and copy back what may have been written.
static void run_grid_on_copies(const Launch& request) {
  std::vector<Padded> copies;
  watch("dynamic shared memory", -1, machine.dynamic_shared, machine.dynamic_shared_bytes);
  watch("static shared memory", -1, emulator_shared_begin, static_shared_bytes());
  for (int i = 0; i < request.buffer_count; i++) {
    const Buffer& buffer = request.buffers[i];
    copies.emplace_back(buffer.bytes);
    memcpy(copies[i].begin, buffer.address, buffer.bytes);
    watch("<buffer>", i, copies[i].begin, buffer.bytes);
  }
  for (int i = 0; i < request.slot_count; i++) {
    int buffer = request.slot_buffers[i];
    if (buffer < 0) continue;
    machine.slots[i] += copies[buffer].begin - request.buffers[buffer].address;
  }
  publication = Publication();
  run_grid();
  for (int i = 0; i < request.buffer_count; i++) {
    const Buffer& buffer = request.buffers[i];
    if (buffer.is_written) memcpy(buffer.address, copies[i].begin, buffer.bytes);
  }
  unwatch_all();
}

// Returns whether something went wrong; the report says what.
int launch(void (*kernel)(const uint64_t* slots), Launch* request) {
  gridDim = dim3(request->grid[0], request->grid[1], request->grid[2]);
  blockDim = dim3(request->block[0], request->block[1], request->block[2]);
  static Padded shared(most_shared_bytes);
  machine.checking = request->checking;
  machine.failed = false;
  machine.report = request->report;
  machine.kernel = kernel;
  memcpy(machine.slots, request->slots, request->slot_count * sizeof(uint64_t));
  machine.dynamic_shared = shared.begin;
  machine.dynamic_shared_bytes = request->shared_bytes;
  machine.schedule = request->schedule;
  machine.random = request->seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
  machine.stacks = request->stacks;
  machine.stack_bytes = request->stack_bytes;
  machine.ready_begin = 0;
  machine.ready_end = 0;
  machine.now = 0;
  if (machine.checking) {
    run_grid_on_copies(*request);
  } else {
    run_grid();
  }
  machine.current = nullptr;
  return machine.failed;
}

void* dynamic_shared() { return machine.dynamic_shared; }

}  // namespace emulator

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;
