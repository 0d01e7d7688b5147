"""Concepts layer by layer: do contexts turn along the directions of their words before the last layer?

Past the paper, whose embeddings are the last layer's. Rules, fixed before anything was measured.

Measure: for each layer 0 (the token embeddings) to L (after the final norm) the own cosine of a context concept: the
signed cosine of its mean shift, state after context 1 less state after context 0, with the mean unembedding
difference of its words. Beside it the mean absolute cosine with all other word concepts, and whether the largest
signed cosine is the own one. Two views: "lens", every layer through the final norm (the logit lens), and "raw", every
layer as it is. At layer L both are the same, for that layer comes after the norm: the last step of "raw" holds the
norm as well, so verdicts are those of "lens". Two products: "euclidean" and "causal" (`linrep.llm.products`). Where
the two contexts of every pair end with the same token layer 0 has no shift at all: such a concept has no direction
there, its cosines count as 0, and it is not matched.

Intervals: 95 % of 1,000 draws of templates and of word pairs; one drawing serves all layers, so that layers may be
compared draw by draw. The peak is the layer with the largest mean own cosine, its interval that of the draws' peaks.
Nulls: labels of the concepts permuted, at every layer (1,000 times, one-sided); three untrained models of the same
shape.

Verdicts, under "lens" and for both products; "undecided" where neither case holds.

- rises: "new" if the interval of own(L) less own(L/2) lies above 0.03 and Spearman's correlation of the mean own
  cosine with the layer is 0.9 or more; "different" if for a product the whole interval lies below 0.03.
- peak: "new" if the interval of the peak lies within the last three layers, L − 2 to L; "different" if for a
  product it lies wholly before them.
- gap: "new" if at every layer from L/2 on the lower end of the own cosine is above the mean absolute cosine with
  others; "different" if at some layer the upper end is below it.
- untrained: "new" if no untrained model has at any layer a mean own cosine beyond ±0.03, and the trained one has
  more at layer L; "different" if one has.

Predictions, written before the first number: all four come out "new". Own cosines rise through the network; at the
middle they are under half of the last layer's. Permuted labels are beaten (p at most 0.05 over the number of layers)
first between layers 5 and 15, and from there on. Seventeen matched, as at the last layer, are reached in its last
quarter only. Under "raw" the course is the same, but lower.
"""
