export { type Filter, fits, parseFilter } from './filter.ts';
export { type Descending, intersect, unite } from './postings.ts';
export { indexedTermsOf, isIndexed, termsOf } from './terms.ts';
