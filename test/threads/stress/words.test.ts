/** The words by which the threads of a stress session agree, where a session is given up in the middle of an iteration. */
import { expect } from 'chai';
import { createStressWords, StressWords } from '../../../lib/engine/threads/stress/words';

/** In iteration 1, as the conductor and the main thread see it. */
function running(): { readonly conductor: StressWords; readonly main: StressWords } {
  const buffer = createStressWords(2);
  const [conductor, main] = [new StressWords(buffer), new StressWords(buffer)];
  conductor.takeGate();
  conductor.go(1, 0);
  conductor.leaveGate();
  return { conductor, main };
}

describe('words of a stress session that is given up', () => {
  it('keep a conductor that comes late from judging the iteration', () => {
    const { conductor, main } = running();
    conductor.arrive();
    expect(conductor.awaitVcpus(1, false)).to.equal(true);
    expect(main.tryGate()).to.equal(true);
    expect(main.abandon()).to.equal(1);
    main.leaveGate();
    expect(conductor.takeGate()).to.equal(false);
    expect(main.tryGate(), 'the gate is free').to.equal(true);
  });

  it('let nobody wait for a gate that is never left', () => {
    const { conductor, main } = running();
    expect(conductor.takeGate()).to.equal(true);
    main.abandon();
    expect(main.takeGate()).to.equal(false);
  });

  it('let no further iteration go', () => {
    const { conductor, main } = running();
    expect(conductor.takeGate()).to.equal(true);
    conductor.countCompleted();
    expect(main.abandon(), 'the one that will not be').to.equal(2);
    expect(conductor.go(2, 0)).to.equal(false);
    expect(main.over).to.equal(true);
  });

  it('have nothing to give up when the session is over', () => {
    const { conductor, main } = running();
    conductor.countCompleted();
    conductor.end();
    expect(main.abandon()).to.equal(undefined);
  });

  it('release a conductor that waits for a thread that is lost', () => {
    const { conductor, main } = running();
    main.abandon();
    expect(conductor.awaitVcpus(1, false)).to.equal(false);
    expect(conductor.awaitDaemons(1, false)).to.equal(false);
    expect(conductor.awaitDevices(1, false)).to.equal(false);
  });
});
