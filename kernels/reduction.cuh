// What kernels have in common that go over some axes of an array and keep the others.
//
// An array of any strides is seen as results x count: each result comes of `count` elements. Both
// stand for at most four axes, the innermost first, after neighbours that follow each other in
// memory were joined: KEPT and REDUCED say how many are left.
//
// A block has columns of `lanes` threads, powers of two; a column works for one result. Where the
// elements of a result are neighbours in memory its lanes are (step 1, else the number of columns):
// so neighbouring threads always read neighbours. Lanes meet in a tree, in an order that is fixed.

struct Axes {
  int size[3];  // the outermost needs none
  int stride[4];
};

// the same as parameters of a kernel, and these as the axes
#define AXES(name) int name##0, int name##1, int name##2, \
  int name##_0, int name##_1, int name##_2, int name##_3
#define AS_AXES(name) Axes{{name##0, name##1, name##2}, {name##_0, name##_1, name##_2, name##_3}}

// where the element of this number stands
template <int RANK>
__device__ __forceinline__ int place(int number, const Axes& axes) {
  int at = 0;
#pragma unroll
  for (int k = 0; k < RANK - 1; k++) {
    at += number % axes.size[k] * axes.stride[k];
    number /= axes.size[k];
  }
  return at + number * axes.stride[RANK - 1];
}

struct Thread {
  int column;  // of the grid: the number of its result
  int lane;
  int lanes;
  int step;  // from a thread to the next lane of its column
};

__device__ __forceinline__ Thread this_thread(int lanes, int step) {
  int columns = blockDim.x / lanes;
  int column = step == 1 ? threadIdx.x / lanes : threadIdx.x % columns;
  int lane = threadIdx.x / step % lanes;
  return {int(blockIdx.x * columns) + column, lane, lanes, step};
}

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Product {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a * b;
  }
};

struct Largest {  // NaN if there is one
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};

struct Smallest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};

// What the lanes of a column hold, joined, for each of its threads. `values` has room for one of
// each thread of the block, and is free again afterwards; all threads of the block must come here.
template <class Operation, class T>
__device__ T joined(T value, T* values, const Thread& thread, Operation join) {
  values[threadIdx.x] = value;
  for (int half = thread.lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread.lane < half) {
      value = join(value, values[threadIdx.x + half * thread.step]);
      values[threadIdx.x] = value;
    }
  }
  __syncthreads();
  value = values[threadIdx.x - thread.lane * thread.step];
  __syncthreads();
  return value;
}
