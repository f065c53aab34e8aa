// Convolution over two axes for a result of few channels (1 to 4): with BACKWARD the adjoint of a
// network's first layer, which makes a picture; without, with stride 1, a layer that makes one.
// Memory and sizes: see conv.cuh; there is one group.
//
// Versions: conv_simple (conv_simple.cu); conv_tiled (conv.cu), which leaves most of a tile's
// channels empty: 3 of 32 or more; this one.
//
// A warp makes STRIP neighbours of a row (of a phase, see conv.cuh: with stride 2 a picture falls
// into 4, each with a quarter of the taps), all their channels. Its 32 lanes are 32 channels of the
// source at a time: reads of the source are whole lines of memory. A source element is multiplied
// at once for every result that it reaches along the row, from filters that a row of taps keeps in
// registers: TAPS_W * CHANNELS multiplications for a read, and one read of a filter from shared
// memory for STRIP multiplications. In the end the lanes' sums are added up by shuffles, always in
// the same order.
//
// TAPS_W is the most taps along the width that a phase has: kernel_w / stride_w, rounded up.
// Blocks are WARPS * 32 threads, rows below each other; blockIdx.x counts strips, z phases.
// Dynamic shared memory holds (taps down, TAPS_W, CHANNELS, 33) floats of the filters.

#include "conv.cuh"

#define WARPS 8
#define LANES 32
#define PITCH (LANES + 1)  // spreads writes over the banks
#define SLOTS ((STRIP * CHANNELS + LANES - 1) / LANES)  // sums that a lane ends with

// Of 2 * HALF sums in each of as many lanes, a lane's first becomes the total of one: that whose
// number is the lane's. A lane gives its partner one half of its sums and takes the partner's
// other half.
template <int HALF>
__device__ __forceinline__ void fold(float* sums, int lane) {
  const bool upper = lane & HALF;
  #pragma unroll
  for (int i = 0; i < HALF; ++i) {
    const float given = upper ? sums[i] : sums[i + HALF];
    const float kept = upper ? sums[i + HALF] : sums[i];
    sums[i] = kept + __shfl_xor_sync(0xffffffff, given, HALF);
  }
  if constexpr (HALF > 1) {
    fold<HALF / 2>(sums, lane);
  }
}

extern "C" __global__ void __launch_bounds__(WARPS * LANES, 1) conv_few(
    float* __restrict__ result, const float* __restrict__ source, const float* __restrict__ w,
    const float* __restrict__ b, GEOMETRY EPILOGUE_PARAMETERS) {
  extern __shared__ float filters[];
  // source is (images, source_h, source_w, sources)
  // result is (images, result_h, result_w, CHANNELS), of it this block's phase
#if BACKWARD
  const int sources = outputs, source_h = rows, source_w = columns;
  const int result_h = height, result_w = width;
  const Axis down = 
      backward_axis(blockIdx.z / stride_w, height, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along = backward_axis(blockIdx.z % stride_w, width, kernel_w, stride_w, pad_w, 1);
  // Going backward taps run against the source: the last one comes first.
  const int reach = along.origin - (along.taps - 1);
  const int first_tap = along.tap + (along.taps - 1) * along.tap_step;
  const int tap_step = -along.tap_step;
#else
  const int sources = inputs, source_h = height, source_w = width;
  const int result_h = rows, result_w = columns;
  const Axis down = forward_axis(rows, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along = forward_axis(columns, kernel_w, 1, pad_w, 1);
  const int reach = along.origin;
  const int first_tap = 0;
  const int tap_step = 1;
#endif
  const int lane = threadIdx.x % LANES;
  // Strips below each other are neighbours: their windows share rows, which L1 keeps.
  const int strips = (along.count + STRIP - 1) / STRIP;
  const int strip = blockIdx.x * WARPS + threadIdx.x / LANES;
  const bool exists = strip < images * strips * down.count;
  const int row = strip % down.count;
  const int begin = strip / down.count % strips * STRIP;
  const int image = strip / down.count / strips;
  const int top = down.origin + row * down.stride;
  const int left = reach + begin;

  float sums[SLOTS * LANES] = {};  // (STRIP, CHANNELS), of this lane's channels
  for (int chunk = 0; chunk < sources; chunk += LANES) {
    // filters is (taps down, TAPS_W, CHANNELS, PITCH), with 0 for what the phase does not have
    for (int e = threadIdx.x; e < down.taps * TAPS_W * CHANNELS * LANES; e += WARPS * LANES) {
      const int c = e % CHANNELS;
      const int t = e / CHANNELS % TAPS_W;
      const int tap_h = e / CHANNELS / TAPS_W % down.taps;
      const int k = e / CHANNELS / TAPS_W / down.taps;
      const int r = down.tap + tap_h * down.tap_step;
      const int s = first_tap + t * tap_step;
      float value = 0.0f;
      if (t < along.taps && chunk + k < sources) {
#if BACKWARD
        value = w[(((chunk + k) * kernel_h + r) * kernel_w + s) * CHANNELS + c];
#else
        value = w[((c * kernel_h + r) * kernel_w + s) * sources + chunk + k];
#endif
      }
      filters[((tap_h * TAPS_W + t) * CHANNELS + c) * PITCH + k] = value;
    }
    __syncthreads();
    for (int tap_h = 0; tap_h < down.taps; ++tap_h) {
      const int source_row = top + tap_h * down.step;
      if (!exists || source_row < 0 || source_row >= source_h) {
        continue;
      }
      float filter[TAPS_W][CHANNELS];
      #pragma unroll
      for (int t = 0; t < TAPS_W; ++t) {
        #pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
          filter[t][c] = filters[((tap_h * TAPS_W + t) * CHANNELS + c) * PITCH + lane];
        }
      }
      const int line = (image * source_h + source_row) * source_w;
      #pragma unroll
      for (int j = 0; j < STRIP + TAPS_W - 1; ++j) {
        const int column = left + j;
        const bool inside = column >= 0 && column < source_w && chunk + lane < sources;
        const float value = inside ? source[(line + column) * sources + chunk + lane] : 0.0f;
        #pragma unroll
        for (int t = 0; t < TAPS_W; ++t) {
          if (j - t >= 0 && j - t < STRIP) {
            #pragma unroll
            for (int c = 0; c < CHANNELS; ++c) {
              sums[(j - t) * CHANNELS + c] += value * filter[t][c];
            }
          }
        }
      }
    }
    __syncthreads();
  }

  #pragma unroll
  for (int slot = 0; slot < SLOTS; ++slot) {
    fold<LANES / 2>(sums + slot * LANES, lane);
    const int i = (slot * LANES + lane) / CHANNELS;
    const int c = (slot * LANES + lane) % CHANNELS;
    if (exists && i < STRIP && begin + i < along.count) {
      const int h = down.first + row * down.spacing;
      const int v = along.first + (begin + i) * along.spacing;
      const int at = ((image * result_h + h) * result_w + v) * CHANNELS + c;
      const float total = b == nullptr ? sums[slot * LANES] : sums[slot * LANES] + b[c];
      result[at] = EPILOGUE(total, at, c);
    }
  }
}
