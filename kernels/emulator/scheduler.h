// Fibers: every thread of a block runs until it waits for others, then another one goes on.
//
// A thread that has begun lives on a stack of its own. To switch from one to another is to save
// the registers that a function call must keep, and to load those of the other. As a thread that
// ends leaves its stack to the next that begins, a kernel whose threads never wait for each other
// needs one stack and no switch: its threads are calls in a loop.
#pragma once

// emulator_switch(from, to): keep this stack's pointer in *from and go on with the stack `to`.
extern "C" void emulator_switch(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, @function
emulator_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");
constexpr int switched_registers = 6;
#else
#error "the emulator can switch between threads only on x86-64"
#endif

namespace emulator {

inline uint32_t random_below(uint32_t limit) {  // xorshift
  machine.random ^= machine.random << 13;
  machine.random ^= machine.random >> 7;
  machine.random ^= machine.random << 17;
  return uint32_t(machine.random >> 32) % limit;
}

// -- the ring of threads that may go on -----------------------------------------------------------

inline uint16_t& ready_at(unsigned place) { return machine.ready[place % most_threads]; }

void make_ready(Thread& thread) {
  if (thread.state != State::fresh) thread.state = State::ready;
  ready_at(machine.ready_end++) = thread.number;
}

// The thread that goes on now, or null if all wait.
static Thread* take_ready() {
  unsigned count = machine.ready_end - machine.ready_begin;
  if (count == 0) return nullptr;
  uint16_t& first = ready_at(machine.ready_begin);
  if (machine.schedule == Schedule::random) {
    std::swap(first, ready_at(machine.ready_begin + random_below(count)));
  }
  machine.ready_begin++;
  return &machine.threads[first];
}

// -- going from thread to thread ------------------------------------------------------------------

static void make_current(Thread* thread) {
  machine.current = thread;
  threadIdx = thread->index;
}

// What every stack runs: a thread, then on the same stack whichever thread begins next.
[[noreturn]] static void run_threads() {
  for (;;) {
    machine.kernel(machine.slots);
    Thread* ended = machine.current;
    ended->state = State::done;
    machine.alive--;
    drop_copies(*ended);
    Thread* next = take_ready();
    if (next && next->state == State::fresh) {
      next->state = State::ready;
      next->stack = ended->stack;
      make_current(next);
      continue;
    }
    machine.free_stacks[machine.free_stack_count++] = ended->stack;
    if (next) make_current(next);
    void* never_again;
    emulator_switch(&never_again, next ? next->stack_pointer : machine.scheduler_stack_pointer);
  }
}

// A stack for a thread, on which `run_threads` is about to begin.
static void* new_stack(Thread* thread) {
  thread->state = State::ready;
  thread->stack = machine.free_stacks[--machine.free_stack_count];
  char* end = machine.stacks + (thread->stack + 1) * machine.stack_bytes - 64;
  void** top = reinterpret_cast<void**>(end);
  *--top = nullptr;  // where run_threads would return to; it aligns the stack as a call does
  *--top = reinterpret_cast<void*>(&run_threads);
  for (int i = 0; i < switched_registers; i++) *--top = nullptr;
  return top;
}

// Go on with a thread that is ready, or with the scheduler. Returns when `from` goes on.
static void switch_from(void** from) {
  Thread* next = take_ready();
  if (!next) {
    emulator_switch(from, machine.scheduler_stack_pointer);
    return;
  }
  void* to = next->state == State::fresh ? new_stack(next) : next->stack_pointer;
  make_current(next);
  emulator_switch(from, to);
}

void wait_as(State state, Place place) {
  Thread* thread = machine.current;
  thread->state = state;
  thread->place = place;
  switch_from(&thread->stack_pointer);
}

void give_up() {
  void* never_again;
  emulator_switch(&never_again, machine.scheduler_stack_pointer);
  __builtin_unreachable();
}

// -- a block --------------------------------------------------------------------------------------

static void make_ready_if(State state) {
  int count = machine.thread_count;
  bool reversed = machine.schedule == Schedule::reverse;
  for (int i = 0; i < count; i++) {
    Thread& thread = machine.threads[reversed ? count - 1 - i : i];
    if (thread.state == state) make_ready(thread);
  }
}

// All threads are new; their stacks are free, as all threads of the block before have ended.
static void begin_block() {
  machine.alive = machine.thread_count;
  machine.block_synchronised = tick();
  for (int i = 0; i < machine.thread_count; i++) {
    machine.threads[i].state = State::fresh;
    machine.threads[i].fence_time = 0;
  }
  for (int i = 0; i * warp_width < machine.thread_count; i++) {
    machine.warps[i].arrived = 0;
    machine.warps[i].synchronised = 0;
  }
  make_ready_if(State::fresh);
}

// No thread is ready, so all that have not ended must wait at one barrier: let them pass it.
static void release_barrier() {
  const Thread* first = nullptr;
  for (int i = 0; i < machine.thread_count; i++) {
    Thread& thread = machine.threads[i];
    if (thread.state == State::done) continue;
    make_current(&thread);  // for a complaint, which names it
    if (thread.state == State::at_warp_operation) {
      const Warp& warp = machine.warps[thread.number / warp_width];
      const Request& request = warp.requests[thread.lane];
      complain(thread.place, -1, "%s waits for lanes %08x of its mask %08x, which never arrive",
               request.operation, request.mask & warp.existing & ~warp.arrived, request.mask);
    } else if (!first) {
      first = &thread;
    } else if (thread.barrier_line != first->barrier_line) {
      complain(thread.place, -1,
               "divergent __syncthreads: threads %d and %d of the block wait at different ones",
               first->number, thread.number);
    }
  }
  machine.block_synchronised = tick();
  make_ready_if(State::at_barrier);
}

void run_block() {
  begin_block();
  while (machine.alive && !machine.failed) {
    switch_from(&machine.scheduler_stack_pointer);
    machine.current = nullptr;
    if (machine.alive && !machine.failed) release_barrier();
  }
}

void barrier(int line) {
  machine.current->barrier_line = line;
  wait_as(State::at_barrier, EMULATOR_CALLER);
}

}  // namespace emulator
