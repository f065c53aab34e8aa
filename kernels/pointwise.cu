// y[k] = EXPRESSION of the elements at k of any number of arrays: arithmetic, gates, casts, copies.
//
// The Python beside this file writes what it defines:
//   RESULT       the type of y
//   PARAMETERS   `, const float* x0, int x0_0, int x0_1, float x1, ...`: arrays with their strides,
//                and numbers; the sizes and strides of y come first
//   COORDINATES  where a thread's element lies: nothing if all arrays are dense, as most are
//   OPERANDS     `const float v0 = x0[...]; ...`: what the expression is made of
//   PLACE        where the result goes
//
// A thread takes every (threads of the grid)-th element in the memory's order, so that neighbours
// read neighbours: the cost is that of the bytes.

extern "C" __global__ void pointwise(RESULT* y, int count PARAMETERS) {
  // the step behind the last element may go beyond an int
  const unsigned threads = gridDim.x * blockDim.x;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += threads) {
    COORDINATES
    OPERANDS
    y[PLACE] = EXPRESSION;
  }
}
