import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';

const ROOT = path.join(__dirname, '..');
const NOT_OURS = /^(node_modules|dist|coverage|\.git)$|\.tgz$/;

interface SourceFile {
  /** From the root, with forward slashes. */
  readonly name: string;
  readonly text: string;
}

function filesBelow(folder: string, keep: (name: string) => boolean): SourceFile[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (NOT_OURS.test(entry.name)) return [];
    if (entry.isDirectory()) return filesBelow(name, keep);
    return keep(name) ? [{ name, text: readFileSync(path.join(ROOT, name), 'utf8') }] : [];
  });
}

const isSource = (name: string) => /\.tsx?$/.test(name);
const ours = [...filesBelow('lib', isSource), ...filesBelow('workers', isSource)];
const examples = filesBelow('examples', isSource);
const tests = filesBelow('test', isSource);

/** The text without comments, in which prose may mention anything. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** What a file imports: paths from the root for our own modules, names for packages. */
function importsOf({ name, text }: SourceFile): string[] {
  const specifiers = code(text).matchAll(/(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*'([^'\n]+)'/g);
  return [...specifiers].map(([, specifier = '']) =>
    specifier.startsWith('.') ? path.posix.join(path.posix.dirname(name), specifier) : specifier,
  );
}

/** Layer -> what it may import besides itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  abi: [],
  memory: ['abi'],
  hypervisor: ['abi', 'memory'],
  guest: ['abi', 'memory'],
  services: ['abi', 'memory', 'guest'],
  engine: ['abi', 'memory', 'hypervisor', 'guest', 'services'],
  explore: ['abi', 'memory', 'hypervisor', 'guest', 'services', 'engine'],
  report: ['abi', 'memory', 'hypervisor', 'guest', 'services', 'engine', 'explore'],
  cli: ['abi', 'memory', 'hypervisor', 'guest', 'services', 'engine', 'explore', 'report', 'index'],
};

/** The loader of scenarios hands them the package's entry points when they import it by name. */
const LOADS_ENTRY_POINTS = 'lib/engine/scenario-source.ts';

/** Package or module -> the only files that may import it. */
const RESERVED: Readonly<Record<string, RegExp>> = {
  // The bench's baselines are bare worker threads.
  'node:worker_threads': /^(lib\/engine\/(threads|lockstep)|workers|lib\/cli\/bench)\//,
  piscina: /^(lib\/engine\/threads\/|lib\/explore\/parallel)/,
  commander: /^lib\/cli\//,
};

/** The layer of a module below lib; undefined for other modules. */
function layerOf(module: string): string | undefined {
  return /^lib\/([^/]+)/.exec(module)?.[1]?.replace(/\.tsx?$/, '');
}

/** Lines of `file:line: text` for each match in a list of files. */
function findIn(
  files: readonly SourceFile[],
  pattern: RegExp,
  view: (text: string) => string = (text) => text,
): string[] {
  return files.flatMap(({ name, text }) =>
    view(text)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
  );
}

describe('the layers', () => {
  for (const [layer, below] of Object.entries(LAYERS)) {
    it(`${layer} imports ${below.length === 0 ? 'no other layer' : `only ${below.join(', ')}`}`, () => {
      const wrong = ours
        .filter(({ name }) => name.startsWith(`lib/${layer}/`))
        .flatMap((file) => importsOf(file).map((module) => ({ file, module, to: layerOf(module) })))
        .filter(({ to }) => to !== undefined && to !== layer && !below.includes(to))
        .filter(({ file, to }) => !(file.name === LOADS_ENTRY_POINTS && to === 'index'))
        .map(({ file, module }) => `${file.name} imports ${module}`);
      expect(wrong).to.deep.equal([]);
    });
  }

  it('are all named here', () => {
    const folders = new Set(ours.map(({ name }) => /^lib\/([^/]+)\//.exec(name)?.[1]).filter(Boolean));
    expect(Object.keys(LAYERS)).to.include.members([...folders]);
  });

  it('nothing imports tests or examples, and nothing in lib imports cli', () => {
    const wrong = ours.flatMap((file) =>
      importsOf(file)
        .filter(
          (module) => /^(test|examples)\//.test(module) || (layerOf(module) === 'cli' && layerOf(file.name) !== 'cli'),
        )
        .map((module) => `${file.name} imports ${module}`),
    );
    expect(wrong).to.deep.equal([]);
  });

  for (const [reserved, allowed] of Object.entries(RESERVED)) {
    it(`${reserved} is imported in its own places only`, () => {
      const users = ours.filter((file) => importsOf(file).includes(reserved)).map(({ name }) => name);
      expect(users.filter((name) => !allowed.test(name))).to.deep.equal([]);
    });
  }

  it('what runs under a deterministic engine reads no clock, randomness or file', () => {
    const deterministic = ours.filter(({ name }) => /^lib\/(abi|memory|hypervisor|guest)\//.test(name));
    expect(findIn(deterministic, /\bMath\.random\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\./, code)).to.deep.equal(
      [],
    );
    const users = deterministic.filter((file) => importsOf(file).some((module) => module.startsWith('node:')));
    expect(users.map(({ name }) => name)).to.deep.equal([]);
  });

  it('which event-channel ABI a domain uses is asked where it is chosen, made whole, and by those who look on', () => {
    const asking = /^lib\/hypervisor\/(state-layout|port-ops|fifo-control|port-view|recovery)\.ts$/;
    expect(
      findIn(ours, /\bDOMAIN_EVTCHN_FIFO\b/, code).filter((place) => !asking.test(place.replace(/:.*/, ''))),
    ).to.deep.equal([]);
  });
});

describe('the sources', () => {
  it('import each other without file extensions', () => {
    const wrong = [...ours, ...tests].flatMap((file) =>
      importsOf(file)
        .filter((module) => /^(lib|workers|test)\/.*\.[jt]sx?$/.test(module))
        .map((module) => `${file.name} imports ${module}`),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('hand on values of other modules in entry points only: elsewhere a value passed on is read through a getter each time', () => {
    const inner = ours.filter(({ name }) => /^lib\//.test(name) && !/(^|\/)index\.ts$/.test(name));
    expect(findIn(inner, /^export (?!type\b)(\*|\{[^}]*\}) from /, code)).to.deep.equal([]);
  });

  it('open with a comment that says what the module is for', () => {
    const bare = [...ours, ...examples].filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text));
    expect(bare.map(({ name }) => name)).to.deep.equal([]);
  });

  it('stay under 500 lines', () => {
    const long = [...ours, ...examples, ...tests].filter(({ text }) => text.split('\n').length > 500);
    expect(long.map(({ name }) => name)).to.deep.equal([]);
  });

  it('leave nothing open', () => {
    const files = [...ours, ...examples, ...tests].filter(({ name }) => name !== 'test/tidy.test.ts');
    expect(findIn(files, /\b(TODO|FIXME|XXX|HACK)\b/)).to.deep.equal([]);
  });

  it('have no holes in their types', () => {
    expect(findIn(ours, /@ts-(ignore|nocheck|expect-error)|\bas any\b|\bas never as\b/)).to.deep.equal([]);
  });
});

describe('the repository', () => {
  const texts = filesBelow('.', (name) => /\.(ts|js|jsonc?|md|sh)$|^\.ci\//.test(name));

  it('names no path of the machine it was made on', () => {
    const files = texts.filter(({ name }) => name !== 'test/tidy.test.ts');
    expect(findIn(files, /(^|[\s'"`(=])\/(work|root|home|tmp)\//)).to.deep.equal([]);
  });

  it('locks its dependencies without naming a registry', () => {
    const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'));
    const resolved = Object.entries<{ resolved?: string }>(lock.packages).filter(([, entry]) => entry.resolved);
    expect(resolved.map(([name]) => name)).to.deep.equal([]);
  });

  it('has at its top only what belongs there', () => {
    const expected = [
      'AGENTS.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'docs',
      'examples',
      'lib',
    ].concat(['package-lock.json', 'package.json', 'test', 'tsconfig.json', 'workers']);
    const found = readdirSync(ROOT).filter((name) => !name.startsWith('.') && !NOT_OURS.test(name));
    expect(found.sort()).to.deep.equal(expected.sort());
  });
});
