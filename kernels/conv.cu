// y[n, o] = b[o] + the sum over the o-th filter's channels and window of x * w[o] over two axes,
// or with BACKWARD its adjoint in x, as an implicit matrix product in float32: pixels of the result
// times its channels, summed over taps and channels of the source. Memory and sizes: see conv.cuh.
//
// Versions of a convolution, slowest first. The first two sum in the same order, so they agree to
// the bit, whatever the tile:
//   conv_simple   a thread makes one element: two reads for a multiplication (conv_simple.cu)
//   conv_tiled    this file: a block makes BM x BN elements from tiles in shared memory, a thread
//                 TM x TN of them in registers; 1 / BM + 1 / BN reads from L2 and
//                 1 / TM + 1 / TN from shared memory for a multiplication
//   conv_mma      the same on tensor cores (conv_mma.cu)
// Beside them stand conv_depthwise.cu, for groups of few channels, and conv_few.cu, for a result of
// few channels: those would leave most of a tile empty.
//
// The sum walks over the taps, and within a tap over the channels BK at a time. What a tap means
// for a thread's pixels (an offset, and which channels lie inside the picture) is worked out when
// the walk enters it, so the inner loop knows nothing of padding. With stride 1 and dilation 1
// along the width, the taps of a row of the filter are one run of channels: neighbouring pixels
// are neighbours in memory. `run` is their number, 1 elsewhere.
//
// Tiles are fetched into registers while the tiles before them are multiplied, then put into the
// other half of shared memory. They lie there with the sum's axis first, so that a thread reads
// four pixels, or four channels, at once; 4 floats of padding spread the writes over the banks.
//
// VECTOR is 4 where the channels of a group are divisible by 4, on both sides going backward, else
// 1. blockIdx.x counts tiles of pixels, y tiles of channels, z groups and, backward, phases.

#include "conv.cuh"

#define THREADS ((BM / TM) * (BN / TN))
#define ACROSS (BN / TN)            // threads side by side along the channels
#define A_LOADS (BM * BK / 4 / THREADS)  // of four floats each, by every thread
#define B_LOADS (BN * BK / 4 / THREADS)

// p[k] .. p[k + 3], and 0 for those that are not within [low, high)
__device__ __forceinline__ float4 four(const float* p, int k, int low, int high) {
#if VECTOR == 4
  if (k < low || k >= high) {
    return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }
  return *reinterpret_cast<const float4*>(p + k);
#else
  float v[4];
  #pragma unroll
  for (int j = 0; j < 4; ++j) {
    v[j] = k + j >= low && k + j < high ? p[k + j] : 0.0f;
  }
  return make_float4(v[0], v[1], v[2], v[3]);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS, 512 / THREADS) conv_tiled(
    float* __restrict__ result, const float* __restrict__ source, const float* __restrict__ w,
    const float* __restrict__ b, GEOMETRY, int run EPILOGUE_PARAMETERS) {
  static_assert(BM * BK % (4 * THREADS) == 0 && BN * BK % (4 * THREADS) == 0, "uneven loads");
  // source is (images, source_h, source_w, group * sources)
  // result is (images, result_h, result_w, group * results), of it this block's phase
#if BACKWARD
  const int sources = outputs, source_h = rows, source_w = columns;
  const int results = inputs, result_h = height, result_w = width;
  const int phase = blockIdx.z % (stride_h * stride_w);
  const int part = blockIdx.z / (stride_h * stride_w);
  const Axis down =
      backward_axis(phase / stride_w, height, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along =
      backward_axis(phase % stride_w, width, kernel_w, stride_w, pad_w, dilation_w);
#else
  const int sources = inputs, source_h = height, source_w = width;
  const int results = outputs, result_h = rows, result_w = columns;
  const int part = blockIdx.z;
  const Axis down = forward_axis(rows, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along = forward_axis(columns, kernel_w / run, stride_w, pad_w, dilation_w);
#endif
  const int pixels = images * down.count * along.count;
  const int first_pixel = blockIdx.x * BM;
  const int first_channel = blockIdx.y * BN;
  if (first_pixel >= pixels) {
    return;  // the phase has fewer pixels than the largest one
  }

  __shared__ __align__(16) float as[2][BK][BM + 4];  // of the source
  __shared__ __align__(16) float bs[2][BK][BN + 4];  // of the filters
  float4 a_next[A_LOADS];
  float4 b_next[B_LOADS];
  const int thread = threadIdx.x;

  // Of the source a thread fetches four channels of each of A_LOADS pixels.
  const int a_k = thread % (BK / 4) * 4;
  const int a_m = thread / (BK / 4);
  int image[A_LOADS];
  int top[A_LOADS];
  int left[A_LOADS];
  #pragma unroll
  for (int i = 0; i < A_LOADS; ++i) {
    const int pixel = first_pixel + a_m + i * (THREADS * 4 / BK);
    const int row = pixel / along.count;
    image[i] = row / down.count;
    top[i] = pixel < pixels ? down.origin + row % down.count * down.stride : -(1 << 30);
    left[i] = along.origin + pixel % along.count * along.stride;
  }

  // Of the filters it fetches four elements that are neighbours in memory: sources going forward,
  // results going backward.
#if BACKWARD
  const int b_n = thread % (BN / 4) * 4;
  const int b_k = thread / (BN / 4);
#else
  const int b_k = a_k;
  const int b_n = a_m;
#endif
  const int filter_size = kernel_h * kernel_w * inputs;
  const float* filters = w + part * outputs * filter_size;

  // Where the walk is, and what that means for the pixels of this thread.
  const int depth = run * sources;
  int tap_h = 0;
  int tap_w = 0;
  int chunk = 0;
  int offset[A_LOADS];  // of the run
  int low[A_LOADS];     // its channels from here on lie inside the picture
  int high[A_LOADS];    // up to here
  int filter_offset;

  auto enter_tap = [&] {
    #pragma unroll
    for (int i = 0; i < A_LOADS; ++i) {
      const int row = top[i] + tap_h * down.step;
      const int column = left[i] + tap_w * along.step;
      const bool inside = row >= 0 && row < source_h;
      const int line = (image[i] * source_h + (inside ? row : 0)) * source_w;
      offset[i] = ((line + column) * group + part) * sources;
      low[i] = max(0, -column) * sources;
      high[i] = inside ? min(run, source_w - column) * sources : 0;
    }
    const int r = down.tap + tap_h * down.tap_step;
    const int s = along.tap + tap_w * along.tap_step;
    filter_offset = (r * kernel_w + s) * inputs;
  };

  auto fetch = [&] {
    #pragma unroll
    for (int i = 0; i < A_LOADS; ++i) {
      a_next[i] = four(source + offset[i], chunk + a_k, low[i], high[i]);
    }
    #pragma unroll
    for (int i = 0; i < B_LOADS; ++i) {
#if BACKWARD
      const int k = chunk + b_k + i * (THREADS * 4 / BN);
      const float* from = filters + k * filter_size + filter_offset;
      b_next[i] = four(from, first_channel + b_n, 0, k < depth ? results : 0);
#else
      const int n = first_channel + b_n + i * (THREADS * 4 / BK);
      const float* from = filters + n * filter_size + filter_offset;
      b_next[i] = four(from, chunk + b_k, 0, n < results ? depth : 0);
#endif
    }
    chunk += BK;
    if (chunk >= depth) {
      chunk = 0;
      if (++tap_w == along.taps) {
        tap_w = 0;
        ++tap_h;
      }
      enter_tap();
    }
  };

  auto put = [&](int half) {
    #pragma unroll
    for (int i = 0; i < A_LOADS; ++i) {
      const int m = a_m + i * (THREADS * 4 / BK);
      as[half][a_k + 0][m] = a_next[i].x;
      as[half][a_k + 1][m] = a_next[i].y;
      as[half][a_k + 2][m] = a_next[i].z;
      as[half][a_k + 3][m] = a_next[i].w;
    }
    #pragma unroll
    for (int i = 0; i < B_LOADS; ++i) {
#if BACKWARD
      const int k = b_k + i * (THREADS * 4 / BN);
      *reinterpret_cast<float4*>(&bs[half][k][b_n]) = b_next[i];
#else
      const int n = b_n + i * (THREADS * 4 / BK);
      bs[half][b_k + 0][n] = b_next[i].x;
      bs[half][b_k + 1][n] = b_next[i].y;
      bs[half][b_k + 2][n] = b_next[i].z;
      bs[half][b_k + 3][n] = b_next[i].w;
#endif
    }
  };

  // A thread's pixels and channels come in fours, which lie apart by those of the other threads.
  const int m_0 = thread / ACROSS * 4;
  const int n_0 = thread % ACROSS * 4;
  float sums[TM][TN] = {};

  auto multiply = [&](int half) {
    #pragma unroll
    for (int k = 0; k < BK; ++k) {
      float of_pixels[TM];
      float of_channels[TN];
      #pragma unroll
      for (int i = 0; i < TM; i += 4) {
        const float4 v = *reinterpret_cast<const float4*>(&as[half][k][m_0 + i * (BM / TM)]);
        of_pixels[i] = v.x;
        of_pixels[i + 1] = v.y;
        of_pixels[i + 2] = v.z;
        of_pixels[i + 3] = v.w;
      }
      #pragma unroll
      for (int j = 0; j < TN; j += 4) {
        const float4 v = *reinterpret_cast<const float4*>(&bs[half][k][n_0 + j * (BN / TN)]);
        of_channels[j] = v.x;
        of_channels[j + 1] = v.y;
        of_channels[j + 2] = v.z;
        of_channels[j + 3] = v.w;
      }
      #pragma unroll
      for (int i = 0; i < TM; ++i) {
        #pragma unroll
        for (int j = 0; j < TN; ++j) {
          sums[i][j] += of_pixels[i] * of_channels[j];
        }
      }
    }
  };

  const int steps = down.taps * along.taps * ((depth + BK - 1) / BK);
  if (steps > 0) {
    enter_tap();
    fetch();
    put(0);
    __syncthreads();
  }
  for (int step = 0; step < steps; ++step) {
    const bool more = step + 1 < steps;
    if (more) {
      fetch();
    }
    multiply(step % 2);
    if (more) {
      put((step + 1) % 2);
    }
    __syncthreads();
  }

  const int channels = group * results;
  #pragma unroll
  for (int i = 0; i < TM; ++i) {
    const int pixel = first_pixel + m_0 + i / 4 * (4 * BM / TM) + i % 4;
    if (pixel >= pixels) {
      continue;
    }
    const int line = pixel / along.count;
    const int row = down.first + line % down.count * down.spacing;
    const int column = along.first + pixel % along.count * along.spacing;
    const int at = ((line / down.count * result_h + row) * result_w + column) * channels;
    #pragma unroll
    for (int j = 0; j < TN; j += 4) {
      const int n = first_channel + n_0 + j * (BN / TN);
      const int c = part * results + n;
      float v[4];
      #pragma unroll
      for (int l = 0; l < 4; ++l) {
        if (n + l < results) {
          v[l] = b == nullptr ? sums[i][j + l] : sums[i][j + l] + b[c + l];
          v[l] = EPILOGUE(v[l], at + c + l, c + l);
        }
      }
      if (results % 4 == 0) {
        if (n < results) {
          *reinterpret_cast<float4*>(result + at + c) = make_float4(v[0], v[1], v[2], v[3]);
        }
        continue;
      }
      #pragma unroll
      for (int l = 0; l < 4; ++l) {
        if (n + l < results) {
          result[at + c + l] = v[l];
        }
      }
    }
  }
}
