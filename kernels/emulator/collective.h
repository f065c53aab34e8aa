// What the lanes of a warp do together: each leaves what it brings and waits; the lane that
// arrives last does the work of all of them, and then all go on.
#pragma once

namespace emulator {

static constexpr unsigned all_lanes = ~0u;

// work(data of the lanes, mask of the lanes that take part)
template <class Work>
static void together(const char* operation, unsigned mask, void* data, Place place, Work work) {
  Thread& thread = *machine.current;
  Warp& warp = machine.warps[thread.number / warp_width];
  if (!(mask >> thread.lane & 1)) {
    EMULATOR_FAIL(place, "lane %d calls %s with the mask %08x, in which it is not", thread.lane,
                  operation, mask);
  }
  warp.requests[thread.lane] = {operation, mask, place, data};
  warp.arrived |= 1u << thread.lane;
  unsigned lanes = mask & warp.existing;
  if ((warp.arrived & lanes) != lanes) {
    wait_as(State::at_warp_operation, place);
    return;
  }
  void* all_data[warp_width];
  for (int lane = 0; lane < warp_width; lane++) {
    if (!(lanes >> lane & 1)) continue;
    const Request& other = warp.requests[lane];
    if (other.mask != mask || other.operation != operation) {
      EMULATOR_FAIL(place, "lane %d is at %s with the mask %08x, but lane %d at %s with %08x",
                    thread.lane, operation, mask, lane, other.operation, other.mask);
    }
    all_data[lane] = other.data;
  }
  work(all_data, lanes);
  warp.arrived &= ~lanes;
  Thread* first = &machine.threads[thread.number - thread.lane];
  for (int lane = 0; lane < warp_width; lane++) {
    if ((lanes >> lane & 1) && lane != thread.lane) make_ready(first[lane]);
  }
}

// The same for operations that PTX defines only for whole warps.
template <class Work>
static void all_together(const char* operation, void* data, Place place, Work work) {
  together(operation, all_lanes, data, place, [&](void* const* all_data, unsigned lanes) {
    if (lanes != all_lanes) EMULATOR_FAIL(place, "%s needs a warp of 32 threads", operation);
    work(all_data);
  });
}

// -- votes and shuffles ---------------------------------------------------------------------------

struct Vote {
  bool predicate;
  unsigned result;
};

struct Shuffled {
  uint64_t bits;
  uint64_t result;
  int source;  // the lane whose bits this one receives
};

// Outside of its segment of `width` lanes, a lane keeps its own value.
static int shuffle_source(Shuffle kind, int lane, int by, int width) {
  int segment = lane & ~(width - 1);
  switch (kind) {
    case Shuffle::to_lane:
      return segment | (by & (width - 1));
    case Shuffle::up:
      return lane - by < segment ? lane : lane - by;
    case Shuffle::down:
      return lane + by >= segment + width ? lane : lane + by;
    case Shuffle::exclusive_or:
      return (lane ^ by) >= segment + width ? lane : lane ^ by;
  }
  __builtin_unreachable();
}

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t bits, int by, int width) {
  static const char* const names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync",
                                      "__shfl_xor_sync"};
  const char* name = names[int(kind)];
  Place place = EMULATOR_CALLER;
  if (width < 1 || width > warp_width || (width & (width - 1))) {
    EMULATOR_FAIL(place, "%s over %d lanes: 1, 2, 4, 8, 16 or 32 are possible", name, width);
  }
  Shuffled own{bits, bits, shuffle_source(kind, machine.current->lane, by, width)};
  together(name, mask, &own, place, [&](void* const* data, unsigned lanes) {
    for (int lane = 0; lane < warp_width; lane++) {
      if (!(lanes >> lane & 1)) continue;
      Shuffled& to = *static_cast<Shuffled*>(data[lane]);
      if (!(lanes >> to.source & 1)) {
        EMULATOR_FAIL(place, "%s: lane %d reads lane %d, which does not take part", name, lane,
                      to.source);
      }
      to.result = static_cast<Shuffled*>(data[to.source])->bits;
    }
  });
  return own.result;
}

}  // namespace emulator

unsigned __ballot_sync(unsigned mask, int predicate) {
  using emulator::Vote;
  Vote own{predicate != 0, 0};
  emulator::together("a vote", mask, &own, EMULATOR_CALLER, [](void* const* data, unsigned lanes) {
    unsigned votes = 0;
    for (int lane = 0; lane < emulator::warp_width; lane++) {
      if ((lanes >> lane & 1) && static_cast<Vote*>(data[lane])->predicate) votes |= 1u << lane;
    }
    for (int lane = 0; lane < emulator::warp_width; lane++) {
      if (lanes >> lane & 1) static_cast<Vote*>(data[lane])->result = votes;
    }
  });
  return own.result;
}

void __syncwarp(unsigned mask) {
  using emulator::machine;
  emulator::together("__syncwarp", mask, nullptr, EMULATOR_CALLER, [](void* const*, unsigned) {
    int warp = machine.current->number / emulator::warp_width;
    machine.warps[warp].synchronised = emulator::tick();
  });
}
