// y = (x - mean) * gain with gain = 1 / sqrt(variance + epsilon), both of the `count` elements of
// each result, and its adjoint dx = gain * (dy - mean of dy - y * mean of dy * y). x, y, dy and dx
// lie in memory alike; mean and gain are dense. How x is walked through stands in reduction.cuh.
//
// standardized, standardized_backward: a column of threads does it all. Two passes for the mean
//   and the variance, so that nothing cancels, a third for y; the caches pay all but the first.
// Where that is long at a result, two launches: segment_moments (segment_sums on the way back)
//   leaves a pair of numbers for each of gridDim.y segments at pairs (2, segments, results), and
//   standardized_by (standardized_backward_by) joins these in each block, in the same order, and
//   goes on with a segment. The cost is that of reading x twice and writing y.

#include "reduction.cuh"

#define THREADS 1024  // in a block, at most

#define WALK int results, AXES(kept), int count, AXES(reduced), int lanes, int step

// The elements of a thread's result that its block is at: of [first, end) each lanes-th is its own.
struct Part {
  Thread thread;
  int start;  // where the result begins
  int first;
  int end;  // equal to first where there is no result
  Axes reduced;

  __device__ __forceinline__ int at(int i) const {
    return start + place<REDUCED>(i, reduced);
  }
};

#define THIS_PART(segment) \
  part_of(this_thread(lanes, step), results, AS_AXES(kept), count, AS_AXES(reduced), segment)

__device__ __forceinline__ Part part_of(
    Thread thread, int results, Axes kept, int count, Axes reduced, int segment) {
  const int result = min(thread.column, results - 1);
  const int first = blockIdx.y * segment;
  const int end = thread.column < results ? first + min(segment, count - first) : first;
  return {thread, place<KEPT>(result, kept), first, end, reduced};
}

// a mean and a sum of squares about it; or on the way back the sums of dy and of dy * y
struct Pair {
  float a;
  float b;
};

__device__ Pair moments(const float* x, const Part& part, float* values) {
  float sum = 0.0f;
#pragma unroll 4
  for (int i = part.first + part.thread.lane; i < part.end; i += part.thread.lanes) {
    sum += x[part.at(i)];
  }
  const float mean = joined(sum, values, part.thread, Sum()) / max(part.end - part.first, 1);
  float squares = 0.0f;
#pragma unroll 4
  for (int i = part.first + part.thread.lane; i < part.end; i += part.thread.lanes) {
    const float apart = x[part.at(i)] - mean;
    squares += apart * apart;
  }
  return {mean, joined(squares, values, part.thread, Sum())};
}

__device__ Pair sums(const float* dy, const float* y, const Part& part, float* values) {
  Pair sum = {0.0f, 0.0f};
#pragma unroll 4
  for (int i = part.first + part.thread.lane; i < part.end; i += part.thread.lanes) {
    sum.a += dy[part.at(i)];
    sum.b += dy[part.at(i)] * y[part.at(i)];
  }
  return {joined(sum.a, values, part.thread, Sum()), joined(sum.b, values, part.thread, Sum())};
}

__device__ void standardize(
    float* y, float* mean, float* gain, const float* x, const Part& part, Pair moments, int count,
    float epsilon, int results) {
  const float factor = 1.0f / sqrtf(moments.b / count + epsilon);
#pragma unroll 4
  for (int i = part.first + part.thread.lane; i < part.end; i += part.thread.lanes) {
    y[part.at(i)] = (x[part.at(i)] - moments.a) * factor;
  }
  if (blockIdx.y == 0 && part.thread.lane == 0 && part.thread.column < results) {
    mean[part.thread.column] = moments.a;
    gain[part.thread.column] = factor;
  }
}

__device__ void standardize_backward(
    float* dx, const float* dy, const float* y, const float* gain, const Part& part, Pair sum,
    int count, int results) {
  const float factor = gain[min(part.thread.column, results - 1)];
  const float mean = sum.a / count;
  const float along = sum.b / count;
#pragma unroll 4
  for (int i = part.first + part.thread.lane; i < part.end; i += part.thread.lanes) {
    const int at = part.at(i);
    dx[at] = factor * (dy[at] - mean - y[at] * along);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS) standardized(
    float* y, float* mean, float* gain, const float* x, float epsilon, WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(count);
  standardize(y, mean, gain, x, part, moments(x, part, values), count, epsilon, results);
}

extern "C" __global__ void __launch_bounds__(THREADS) standardized_backward(
    float* dx, const float* dy, const float* y, const float* gain, WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(count);
  standardize_backward(dx, dy, y, gain, part, sums(dy, y, part, values), count, results);
}

__device__ __forceinline__ void keep(float* pairs, Pair pair, const Thread& thread, int results) {
  if (thread.lane == 0 && thread.column < results) {
    const int at = blockIdx.y * results + thread.column;
    pairs[at] = pair.a;
    pairs[gridDim.y * results + at] = pair.b;
  }
}

extern "C" __global__ void __launch_bounds__(THREADS) segment_moments(
    float* pairs, const float* x, int segment, WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(segment);
  keep(pairs, moments(x, part, values), part.thread, results);
}

extern "C" __global__ void __launch_bounds__(THREADS) segment_sums(
    float* pairs, const float* dy, const float* y, int segment, WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(segment);
  keep(pairs, sums(dy, y, part, values), part.thread, results);
}

extern "C" __global__ void __launch_bounds__(THREADS) standardized_by(
    float* y, float* mean, float* gain, const float* x, const float* pairs, float epsilon,
    int segment, WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(segment);
  const Thread thread = part.thread;
  const int result = min(thread.column, results - 1);
  const int segments = gridDim.y;
  float sum = 0.0f;
  for (int s = thread.lane; s < segments; s += lanes) {
    sum += pairs[s * results + result] * min(segment, count - s * segment);
  }
  const float middle = joined(sum, values, thread, Sum()) / count;
  // the squares about the mean of all are those about a segment's, and its distance for each
  float squares = 0.0f;
  for (int s = thread.lane; s < segments; s += lanes) {
    const float apart = pairs[s * results + result] - middle;
    squares += pairs[(segments + s) * results + result];
    squares += apart * apart * min(segment, count - s * segment);
  }
  const Pair moments = {middle, joined(squares, values, thread, Sum())};
  standardize(y, mean, gain, x, part, moments, count, epsilon, results);
}

extern "C" __global__ void __launch_bounds__(THREADS) standardized_backward_by(
    float* dx, const float* dy, const float* y, const float* gain, const float* pairs, int segment,
    WALK) {
  __shared__ float values[THREADS];
  const Part part = THIS_PART(segment);
  const Thread thread = part.thread;
  const int result = min(thread.column, results - 1);
  const int segments = gridDim.y;
  Pair sum = {0.0f, 0.0f};
  for (int s = thread.lane; s < segments; s += lanes) {
    sum.a += pairs[s * results + result];
    sum.b += pairs[(segments + s) * results + result];
  }
  sum.a = joined(sum.a, values, thread, Sum());
  sum.b = joined(sum.b, values, thread, Sum());
  standardize_backward(dx, dy, y, gain, part, sum, count, results);
}
