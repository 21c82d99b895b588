import { expect } from 'chai';
import { ExecutionFailure } from '../../lib/engine/inline/failure';
import { DfsStrategy } from '../../lib/explore/dfs';
import { DporStrategy } from '../../lib/explore/dpor';
import { RandomStrategy } from '../../lib/explore/random';
import { at, type Bare, exploreBare } from './support/bare';

const adder: Bare = (memory) => {
  for (let i = 0; i < 20; i++) memory.add32(at(i & 3), 1);
};

/** What the four words hold when `count` adders are done. */
function expectSum(count: number) {
  return (memory: { load32(address: number): number }): void => {
    for (let word = 0; word < 4; word++) {
      if (memory.load32(at(word)) !== count * 5) throw new Error(`word ${word} holds ${memory.load32(at(word))}`);
    }
  };
}

describe('InlineEngine', () => {
  it('loses no step however often programs are suspended and called again', () => {
    const result = exploreBare([adder, adder, adder, adder], new RandomStrategy(3), {
      maxExecutions: 2000,
      check: expectSum(4),
    });
    expect(result.failure).to.equal(null);
    expect(result.engine.steps).to.equal(2000 * 80);
  });

  it('starts every execution from the same memory', () => {
    const result = exploreBare([(memory) => memory.add32(at(0), 1), adder], new DfsStrategy(), {
      maxExecutions: 500,
      check(memory) {
        if (memory.load32(at(0)) !== 6) throw new Error('memory was not put back');
        memory.store32(at(0), 99);
      },
    });
    expect(result.failure).to.equal(null);
  });

  it('does not grow with the number of executions', () => {
    const engine = exploreBare([adder, adder], new RandomStrategy(9), { maxExecutions: 100 }).engine;
    const logs = engine.state.logs.map((log) => log.length);
    const more = exploreBare([adder, adder], new RandomStrategy(9), { maxExecutions: 5000 }).engine;
    expect(more.state.logs.map((log) => log.length)).to.deep.equal(logs);
    expect(more.state.evActor.length).to.equal(engine.state.evActor.length);
  });

  it('keeps results of one execution out of the next: each value returned belongs to its own schedule', () => {
    const reader: Bare = (memory) => [memory.load32(at(0)), memory.load32(at(0))];
    const writer: Bare = (memory) => memory.store32(at(0), 1);
    const seen: string[] = [];
    exploreBare([reader, writer], new DporStrategy(), {
      check: (_memory, values) => void seen.push(String(values[0])),
    });
    expect(seen.sort()).to.deep.equal(['0,0', '0,1', '1,1']);
  });

  it('notices a program that behaves differently when it is called again, and names both accesses', () => {
    let calls = 0;
    const moody: Bare = (memory) => {
      calls++;
      for (let i = 0; i < 10; i++) memory.add32(at(0), calls);
    };
    const { failure } = exploreBare([moody, adder], new RandomStrategy(1), { maxExecutions: 500 });
    expect(failure?.kind).to.equal('nondeterminism');
    expect(failure?.message).to.match(/made add32 .* operand \d+ where .* made add32 .* operand \d+/);
  });

  it('notices a program that swallows the exception that suspends it', () => {
    const greedy: Bare = (memory) => {
      for (let i = 0; i < 10; i++) {
        try {
          memory.add32(at(i & 3), 1);
        } catch {
          // Takes everything for an error of its own.
        }
      }
    };
    const { failure } = exploreBare([greedy, greedy, greedy], new RandomStrategy(2), { maxExecutions: 2000 });
    expect(failure?.kind).to.equal('nondeterminism');
    expect(failure?.message).to.include('catch');
  });

  it('lets finally blocks of a suspended program have no effect', () => {
    const tidy: Bare = (memory) => {
      for (let i = 0; i < 10; i++) {
        try {
          memory.add32(at(0), 1);
        } finally {
          memory.add32(at(1), 1);
        }
      }
    };
    const result = exploreBare([tidy, tidy, tidy], new RandomStrategy(4), {
      maxExecutions: 2000,
      check(memory) {
        if (memory.load32(at(0)) !== 30 || memory.load32(at(1)) !== 30) throw new Error('a step was lost or doubled');
      },
    });
    expect(result.failure).to.equal(null);
  });

  it('ends an execution as the failure a program throws', () => {
    const broken: Bare = () => {
      throw new ExecutionFailure('invariant', 'two owners');
    };
    const { failure } = exploreBare([adder, broken], new DporStrategy());
    expect(failure).to.include({ kind: 'invariant', message: 'two owners', actor: 1 });
  });

  it('refuses accesses outside the region and words that are not aligned', () => {
    for (const access of [
      (memory: Parameters<Bare>[0]) => memory.read32(-4),
      (memory: Parameters<Bare>[0]) => memory.read32(2),
      (memory: Parameters<Bare>[0]) => memory.write8(64, 1),
      (memory: Parameters<Bare>[0]) => memory.load32(Number.NaN),
    ]) {
      const { failure } = exploreBare([access], new DporStrategy());
      expect(failure?.error).to.be.instanceOf(RangeError);
    }
  });

  it('says that nobody is left to change what a program spins for', () => {
    const spinner: Bare = (memory, engine) => {
      while (memory.load32(at(0)) === 0) engine.relax();
    };
    const { failure } = exploreBare([spinner, adderOf(1)], new DporStrategy());
    expect(failure?.kind).to.equal('livelock');
    expect(failure?.message).to.include('p0 spins for ever');
  });

  it('lets a bounded spin end', () => {
    const bounded: Bare = (memory, engine) => {
      for (let tries = 0; tries < 20; tries++) {
        if (memory.load32(at(0)) !== 0) return 'seen';
        engine.relax();
      }
      return 'gave up';
    };
    const seen = new Set<unknown>();
    const result = exploreBare([bounded, adderOf(2)], new DporStrategy(), {
      check: (_memory, values) => void seen.add(values[0]),
    });
    expect(result.failure).to.equal(null);
    expect([...seen]).to.deep.equal(['gave up']);
  });

  it('drains store buffers before the end, so that memory is what all agree on', () => {
    const writer: Bare = (memory) => memory.write32(at(0), 7);
    const result = exploreBare([writer, adderOf(1)], new DporStrategy(), {
      memoryModel: 'tso',
      check(memory) {
        if (memory.load32(at(0)) !== 7) throw new Error('a store is still buffered');
      },
    });
    expect(result.failure).to.equal(null);
  });
});

function adderOf(word: number): Bare {
  return (memory) => memory.add32(at(word), 1);
}
