/** Loaded by `npm run test:long`: tests that scale look at this variable and do more. */
process.env.UPCALL_LONG = '1';
