// y[n, o] = b[o] + the sum over the o-th filter's channels and window of x * w[o] over two axes,
// or with BACKWARD its adjoint in x, on tensor cores: an implicit matrix product of pixels of the
// result by its channels, summed over taps and channels of the source. Memory and sizes: see
// conv.cuh. This is the version after conv_tiled (conv.cu); channels of a group have to be
// divisible by 4, on both sides going backward.
//
// PRECISION says what is multiplied. Arrays are float32 in global memory, sums are float32:
//   TF32    both operands rounded to tf32: 1 multiplication, relative error about 3e-4
//   EXACT   each operand as the sum of two tf32, hi + lo, and lo hi + hi lo + hi hi: 3
//           multiplications, error as in float32; infinity becomes NaN
//   HALF    both rounded to f16 on their way to shared memory: half a multiplication, error about
//           3e-4 where nothing is below 6e-5 or above 65504 in magnitude; gradients may have to be
//           scaled for it
//
// A block makes BM pixels x BN channels, in warps of WM x WN, from tiles BK deep: BM x BK of the
// source and BN x BK of the filters, so 1 / BM + 1 / BN reads from L2 and 1 / WM + 1 / WN from
// shared memory for a multiplication. The sum walks over the channels BK at a time, and for each of
// those over the taps, so that what the taps of neighbouring pixels share is read again soon; from
// one tile to the next all pixels of a thread move by the same offset. A ring of STAGES tiles is
// filled by cp.async, STAGES - 1 tiles ahead of what is being multiplied; going through registers,
// HALF has 2 stages and is 1 ahead. Registers are given out so that RESIDENT blocks fit on a
// processor.
//
// Shared memory. A tile is made of words: one float, or two halves that are neighbours along the
// sum; an mma takes 8 words of the sum. Rows lie with the sum's axis inside, WORDS long, their
// 16-byte chunks exchanged (`chunk ^ row`), so that a chunk of 8 rows, which is what ldmatrix reads
// at a time, lies in different banks, and so do the chunks of a row, which neighbouring threads
// write; there is no padding. Backward, neighbours in the filters' memory are channels of the
// result: that tile lies with the sum's axis outside and is read four channels at a time, without
// conflicts either. So the filters are used as they are: to repack them would gain nothing.
//
// A lane gets four neighbouring channels of the result: column g of the j-th of four mma tiles is
// made channel 4 g + j, for which the filters' rows are put in another order. That makes 16-byte
// writes.
//
// With few tiles the sum is split: blockIdx.y takes its part of the walk and writes sums, without
// bias and epilogue, to its own part of `result`, a workspace (splits, size of the result);
// sum_splits adds the parts, in order. blockIdx.x counts tiles, channels first, so that blocks that
// run at the same time share pixels, then groups, then pixels; z counts phases going backward.

#define EXACT 1
#define TF32 2
#define HALF 3

#if PRECISION != HALF
#define NEED_SM80
#endif

#include "conv.cuh"
#include "ptx.cuh"

#define THREADS ((BM / WM) * (BN / WN) * 32)
#define ACROSS (BN / WN)                 // warps side by side along the channels
#define A_LOADS (BM * BK / 4 / THREADS)  // of four floats each, by every thread
#define B_LOADS (BN * BK / 4 / THREADS)
#define A_STEP (THREADS * 4 / BK)        // rows from one load to the next

// Unrolled further, EXACT would have too many numbers under way for the registers.
#define UNROLLED (PRECISION == EXACT ? 1 : 4)

#if PRECISION == HALF
#define WORDS (BK / 2)
#else
#define WORDS BK
#endif

#if BACKWARD
#define B_STEP (THREADS * 4 / BN)
#define B_PITCH BN
#else
#define B_STEP A_STEP
#define B_PITCH WORDS
#endif

// Where a chunk of four words lies in a tile with the sum's axis inside. Eight rows further it lies
// 8 * WORDS further.
__device__ __forceinline__ int inside(int row, int chunk) {
  constexpr int chunks = WORDS / 4;
  return row * WORDS + 4 * (chunk ^ row / (8 / chunks) % chunks);
}

// Where it lies in a tile of filters with the sum's axis outside. Four rows further it lies 4 * BN
// further.
__device__ __forceinline__ int outside(int row, int chunk) {
  return row * BN + 4 * (chunk ^ 2 * (row % 4));
}

// x so that cutting off what tf32 has not rounds it: about half a unit is added in the last place,
// as 0.7 / 2048 of x itself. That is one multiplication for cvt.rna's three instructions; what tf32
// holds stays what it is, so do NaN and infinity, and errors average out.
__device__ __forceinline__ u32 nearly_tf32(u32 x) {
  return __float_as_uint(__uint_as_float(x) * (1.0f + 0.7f / 2048.0f));
}

// x = hi + lo to 21 bits and more: the tensor core cuts off the rest of lo.
__device__ __forceinline__ void split_tf32(u32 x, u32& hi, u32& lo) {
  hi = nearly_tf32(x) & 0xffffe000u;
  lo = __float_as_uint(__uint_as_float(x) - __uint_as_float(hi));
}

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv_mma(
    float* __restrict__ result, const float* __restrict__ source, const float* __restrict__ w,
    const float* __restrict__ b, GEOMETRY, int splits EPILOGUE_PARAMETERS) {
  static_assert(WM % 16 == 0 && WN % 32 == 0 && BM % WM == 0 && BN % WN == 0, "odd warps");
  static_assert(WORDS == 16 || WORDS == 32, "tiles are 16 or 32 words deep");
  static_assert(A_LOADS > 0 && B_LOADS > 0 && A_STEP % 8 == 0 && B_STEP % 4 == 0, "odd loads");
  // source is (images, source_h, source_w, group * sources)
  // result is (images, result_h, result_w, group * results), of it this block's phase
#if BACKWARD
  const int sources = outputs, source_h = rows, source_w = columns;
  const int results = inputs, result_h = height, result_w = width;
  const Axis down =
      backward_axis(blockIdx.z / stride_w, height, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along =
      backward_axis(blockIdx.z % stride_w, width, kernel_w, stride_w, pad_w, dilation_w);
#else
  const int sources = inputs, source_h = height, source_w = width;
  const int results = outputs, result_h = rows, result_w = columns;
  const Axis down = forward_axis(rows, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along = forward_axis(columns, kernel_w, stride_w, pad_w, dilation_w);
#endif
  const int pixels = images * down.count * along.count;
  const int tiles = (results + BN - 1) / BN;
  const int first_channel = blockIdx.x % tiles * BN;
  const int part = blockIdx.x / tiles % group;
  const int first_pixel = blockIdx.x / (tiles * group) * BM;
  if (first_pixel >= pixels) {
    return;  // the phase has fewer pixels than the largest one
  }

  extern __shared__ __align__(16) u32 tile[];
  u32* const as = tile;                           // [STAGES][BM][WORDS], of the source
  u32* const bs = tile + STAGES * BM * WORDS;     // [STAGES][BN][WORDS], or [WORDS][BN]
  __shared__ int place[BM];                       // each pixel's in the result, or -1
  const int thread = threadIdx.x;

  // Of the source a thread fetches four channels of each of A_LOADS pixels.
  const int a_k = thread % (BK / 4) * 4;
  const int a_m = thread / (BK / 4);
  const int pitch = group * sources;
  int top[A_LOADS];
  int left[A_LOADS];
  int start[A_LOADS];
  #pragma unroll
  for (int i = 0; i < A_LOADS; ++i) {
    const int m = a_m + i * A_STEP;
    const bool real = first_pixel + m < pixels;
    const int pixel = real ? first_pixel + m : 0;
    const int line = pixel / along.count;
    const int image = line / down.count;
    const int row = line % down.count;
    const int column = pixel % along.count;
    top[i] = down.origin + row * down.stride;
    left[i] = along.origin + column * along.stride;
    start[i] = ((image * source_h + top[i]) * source_w + left[i]) * pitch + part * sources + a_k;
    if (!real) {
      top[i] = -(1 << 30);
    }
    if (a_k == 0) {
      const int there = (image * result_h + down.first + row * down.spacing) * result_w;
      place[m] = real ? there + along.first + column * along.spacing : -1;
    }
  }

  // Of the filters it fetches B_LOADS times four elements that are neighbours in memory: sources
  // going forward, results going backward.
  const int filter_size = kernel_h * kernel_w * inputs;
  const float* const filters = w + part * outputs * filter_size;
#if BACKWARD
  const int b_n = thread % (BN / 4) * 4;
  const int b_k = thread / (BN / 4);
#else
  int filter[B_LOADS];
  #pragma unroll
  for (int i = 0; i < B_LOADS; ++i) {
    const int m = a_m + i * A_STEP;
    const int n = first_channel + m / 32 * 32 + m % 8 * 4 + m / 8 % 4;
    filter[i] = n < results ? n * filter_size + a_k : -1;
  }
#endif

  // The block's part of the walk, and where in it the next tile to fetch is.
  const int taps = down.taps * along.taps;
  const int whole = (sources + BK - 1) / BK * taps;
  const int share = (whole + splits - 1) / splits;
  const int begin = min(static_cast<int>(blockIdx.y) * share, whole);
  const int steps = min(share, whole - begin);
  int chunk = taps == 0 ? 0 : begin / taps * BK;
  int tap_h = taps == 0 ? 0 : begin % taps / along.taps;
  int tap_w = taps == 0 ? 0 : begin % along.taps;

#if PRECISION == HALF
  float4 a_next[A_LOADS];
  float4 b_next[B_LOADS];
  auto load = [](const float* from, bool ok) {
    return ok ? *reinterpret_cast<const float4*>(from) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  };
#endif

  // Fetch the next tile: into a stage of the ring, with HALF into registers.
  auto fetch = [&](int stage) {
    const int shift_h = tap_h * down.step;
    const int shift_w = tap_w * along.step;
    const int offset = (shift_h * source_w + shift_w) * pitch + chunk;
#if PRECISION != HALF
    u32* const a_to = as + stage * BM * WORDS + inside(a_m, a_k / 4);
#if BACKWARD
    u32* const b_to = bs + stage * BN * WORDS + outside(b_k, b_n / 4);
#else
    u32* const b_to = bs + stage * BN * WORDS + inside(a_m, a_k / 4);
#endif
#endif
    #pragma unroll
    for (int i = 0; i < A_LOADS; ++i) {
      const unsigned row = top[i] + shift_h;
      const unsigned column = left[i] + shift_w;
      const bool ok = row < source_h && column < source_w && chunk + a_k < sources;
      const float* const from = source + static_cast<unsigned>(ok ? start[i] + offset : 0);
#if PRECISION == HALF
      a_next[i] = load(from, ok);
#else
      cp_async_16(a_to + i * A_STEP * WORDS, from, ok);
#endif
    }
    const int r = down.tap + tap_h * down.tap_step;
    const int s = along.tap + tap_w * along.tap_step;
    const int tap = (r * kernel_w + s) * inputs;
    #pragma unroll
    for (int i = 0; i < B_LOADS; ++i) {
#if BACKWARD
#if PRECISION == HALF
      const int k = chunk + 2 * (b_k + i / 2 * B_STEP) + i % 2;  // first one half of a word
#else
      const int k = chunk + b_k + i * B_STEP;
#endif
      const int n = first_channel + b_n;
      const bool ok = k < sources && n < results;
      const int at = k * filter_size + tap + n;
#else
      const bool ok = filter[i] >= 0 && chunk + a_k < sources;
      const int at = filter[i] + tap + chunk;
#endif
      const float* const from = filters + static_cast<unsigned>(ok ? at : 0);
#if PRECISION == HALF
      b_next[i] = load(from, ok);
#else
      cp_async_16(b_to + i * B_STEP * B_PITCH, from, ok);
#endif
    }
    if (++tap_w == along.taps) {
      tap_w = 0;
      if (++tap_h == down.taps) {
        tap_h = 0;
        chunk += BK;
      }
    }
  };

#if PRECISION == HALF
  // Put what was fetched into shared memory, rounded.
  auto put = [&](int stage) {
    auto put_half_chunk = [](u32* to, float4 v) {
      *reinterpret_cast<uint2*>(to) = make_uint2(pack_f16(v.x, v.y), pack_f16(v.z, v.w));
    };
    const int to = inside(a_m, a_k / 8) + a_k / 2 % 4;
    #pragma unroll
    for (int i = 0; i < A_LOADS; ++i) {
      put_half_chunk(as + stage * BM * WORDS + to + i * A_STEP * WORDS, a_next[i]);
    }
#if BACKWARD
    #pragma unroll
    for (int i = 0; i < B_LOADS; i += 2) {
      const float4 v = b_next[i];
      const float4 next = b_next[i + 1];
      u32* const b_to = bs + stage * BN * WORDS + outside(b_k, b_n / 4) + i / 2 * B_STEP * BN;
      *reinterpret_cast<uint4*>(b_to) = make_uint4(
          pack_f16(v.x, next.x), pack_f16(v.y, next.y), pack_f16(v.z, next.z),
          pack_f16(v.w, next.w));
    }
#else
    #pragma unroll
    for (int i = 0; i < B_LOADS; ++i) {
      put_half_chunk(bs + stage * BN * WORDS + to + i * A_STEP * WORDS, b_next[i]);
    }
#endif
  };
#endif

  const int lane = thread % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  const int warp_m = thread / 32 / ACROSS * WM;
  const int warp_n = thread / 32 % ACROSS * WN;
  float sums[WM / 16][WN / 8][4] = {};

  auto multiply = [&](int stage) {
    const u32* const a_tile = as + stage * BM * WORDS + warp_m * WORDS;
    const u32* const b_tile = bs + stage * BN * WORDS + warp_n * (BACKWARD ? 1 : WORDS);
    #pragma unroll UNROLLED
    for (int k = 0; k < WORDS; k += 8) {
      const u32* const a_from = a_tile + inside(lane % 16, k / 4 + lane / 16);
      u32 b[WN / 8][2];
#if BACKWARD
      #pragma unroll
      for (int j = 0; j < WN / 8; j += 4) {
        #pragma unroll
        for (int half = 0; half < 2; ++half) {
          const u32* const b_from = b_tile + outside(t, g) + (k + 4 * half) * BN + 8 * j;
          const uint4 v = *reinterpret_cast<const uint4*>(b_from);
          b[j][half] = v.x;
          b[j + 1][half] = v.y;
          b[j + 2][half] = v.z;
          b[j + 3][half] = v.w;
        }
      }
#else
      const u32* const b_from = b_tile + inside(lane / 16 * 8 + lane % 8, k / 4 + lane / 8 % 2);
      #pragma unroll
      for (int j = 0; j < WN / 8; j += 2) {
        ldmatrix_x4(b[j], b_from + 8 * j * WORDS);
      }
#endif
#if PRECISION == TF32
      #pragma unroll
      for (int j = 0; j < WN / 8; ++j) {
        b[j][0] = nearly_tf32(b[j][0]);
        b[j][1] = nearly_tf32(b[j][1]);
      }
#elif PRECISION == EXACT
      u32 b_lo[WN / 8][2];
      #pragma unroll
      for (int j = 0; j < WN / 8; ++j) {
        split_tf32(b[j][0], b[j][0], b_lo[j][0]);
        split_tf32(b[j][1], b[j][1], b_lo[j][1]);
      }
#endif
      #pragma unroll
      for (int i = 0; i < WM / 16; ++i) {
        u32 a[4];
        ldmatrix_x4(a, a_from + 16 * i * WORDS);
#if PRECISION == HALF
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          mma_f16_16x8x16(sums[i][j], a, b[j], sums[i][j]);
        }
#elif PRECISION == TF32
        #pragma unroll
        for (int l = 0; l < 4; ++l) {
          a[l] = nearly_tf32(a[l]);
        }
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          mma_tf32_16x8x8(sums[i][j], a, b[j], sums[i][j]);
        }
#else
        // Tensor cores cut their sums off, so over a long walk the result shrinks: simulated, by
        // 3e-5 over 4608 products. So they sum 8 products at a time, small terms first, and those
        // sums are added up as floats are, rounded: that leaves an error of 4e-7.
        u32 a_lo[4];
        float some[WN / 8][4] = {};
        #pragma unroll
        for (int l = 0; l < 4; ++l) {
          split_tf32(a[l], a[l], a_lo[l]);
        }
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          mma_tf32_16x8x8(some[j], a_lo, b[j], some[j]);
        }
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          mma_tf32_16x8x8(some[j], a, b_lo[j], some[j]);
        }
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          mma_tf32_16x8x8(some[j], a, b[j], some[j]);
        }
        #pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
          #pragma unroll
          for (int l = 0; l < 4; ++l) {
            sums[i][j][l] += some[j][l];
          }
        }
#endif
      }
    }
  };

#if PRECISION == HALF
  if (steps > 0) {
    fetch(0);
    put(0);
  }
  for (int step = 0; step < steps; ++step) {
    __syncthreads();
    if (step + 1 < steps) {
      fetch(0);
    }
    multiply(step % 2);
    if (step + 1 < steps) {
      put((step + 1) % 2);
    }
  }
#else
  #pragma unroll 1
  for (int step = 0; step < STAGES - 1; ++step) {
    if (step < steps) {
      fetch(step);
    }
    cp_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    cp_async_wait(STAGES - 2);
    __syncthreads();  // the tile is there, and what lies in the next to be filled was used
    if (step + STAGES - 1 < steps) {
      fetch((step + STAGES - 1) % STAGES);
    }
    cp_async_commit();
    multiply(step % STAGES);
  }
#endif
  if (steps == 0) {
    __syncthreads();  // for the places
  }

  const int channels = group * results;
  const int size = images * result_h * result_w * channels;
  float* const to = result + static_cast<size_t>(blockIdx.y) * size;
  #pragma unroll
  for (int i = 0; i < WM / 8; ++i) {
    const int pixel = place[warp_m + 8 * i + g];
    if (pixel < 0) {
      continue;
    }
    #pragma unroll
    for (int q = 0; q < WN / 16; ++q) {
      // four columns of a lane's two, in four mma tiles, are neighbouring channels
      const int n = first_channel + warp_n + q / 2 * 32 + 8 * t + q % 2 * 4;
      const int c = part * results + n;
      const int at = pixel * channels + c;
      float v[4];
      #pragma unroll
      for (int l = 0; l < 4; ++l) {
        v[l] = sums[i / 2][q / 2 * 4 + l][i % 2 * 2 + q % 2];
        if (splits == 1 && n + l < results) {
          v[l] = b == nullptr ? v[l] : v[l] + b[c + l];
          v[l] = EPILOGUE(v[l], at + l, c + l);
        }
      }
      if (results % 4 == 0) {
        if (n < results) {
          *reinterpret_cast<float4*>(to + at) = make_float4(v[0], v[1], v[2], v[3]);
        }
        continue;
      }
      #pragma unroll
      for (int l = 0; l < 4; ++l) {
        if (n + l < results) {
          to[at + l] = v[l];
        }
      }
    }
  }
}

// result[i] = the sum of sums[k, i] over the splits k, in order, with bias and epilogue.
extern "C" __global__ void sum_splits(
    float* __restrict__ result, const float* __restrict__ sums, const float* __restrict__ b,
    int size, int channels, int splits EPILOGUE_PARAMETERS) {
  // result is (size / channels, channels), sums is (splits, size)
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) {
    float v = sums[i];
    for (int k = 1; k < splits; ++k) {
      v += sums[static_cast<size_t>(k) * size + i];
    }
    const int c = i % channels;
    v = b == nullptr ? v : v + b[c];
    result[i] = EPILOGUE(v, i, c);
  }
}
