/** Entry of `npm run conformance -- FILE…`, see README.md. */
import { conformance } from './command';

process.exitCode = conformance(process.argv.slice(2), console.log, console.error);
