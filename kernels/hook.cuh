// Where an expression may be put into a kernel, see pointwise.py: y[i] = EPILOGUE(v, i, c) for its
// result v, and PROLOGUE(x[i], i, c) for an element that it reads. i is the dense index of the
// element, c its channel, and what they read besides comes behind the kernel's own parameters.

#ifndef EPILOGUE
#define EPILOGUE(v, i, c) (v)
#define EPILOGUE_PARAMETERS
#endif

#ifndef PROLOGUE
#define PROLOGUE(v, i, c) (v)
#define PROLOGUE_PARAMETERS
#endif
