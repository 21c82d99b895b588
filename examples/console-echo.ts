/**
 * Echoes what is typed at the console, line by line.
 *
 * Teaches: VIRQ_CONSOLE, a global interrupt that only the machine's hardware domain gets; CONSOLEIO_read; and why the
 * handler reads until nothing is left.
 *
 * A device plays a person who types `args.typed`; what you type goes there too. Ends with ctrl-D (character 4) or after
 * `args.bytes` characters.
 *
 *     npx upcall run examples/console-echo.ts --args '{"typed": "hello\nworld\n\u0004"}'
 *     npx upcall run examples/console-echo.ts --args '{"typed": "", "bytes": 20}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { VIRQ_CONSOLE } from 'upcall/abi';
import { Events, haltUntil, irqDisable } from 'upcall/guest';

const END_OF_TRANSMISSION = '\x04';
const READ_BYTES = 16;
const MS = 1_000_000;
const DEFAULTS = { typed: `upcall\necho\n${END_OF_TRANSMISSION}`, bytes: 1000 };

export default defineScenario({
  name: 'console-echo',
  description: 'console input by VIRQ_CONSOLE and CONSOLEIO_read, echoed',
  privileged: true,
  args: DEFAULTS,

  devices: {
    keyboard(device) {
      const { typed } = { ...DEFAULTS, ...device.args };
      for (const character of typed) {
        device.consoleInput(character);
        device.sleep(MS);
      }
    },
  },

  guests: [
    (vcpu) => {
      const { bytes } = { ...DEFAULTS, ...vcpu.domain.args };
      const events = new Events(vcpu);
      let line = '';
      let bytesTaken = 0;
      let ended = false;

      const take = (character: string) => {
        if (ended) return;
        ended = character === END_OF_TRANSMISSION || ++bytesTaken === bytes;
        if (character !== END_OF_TRANSMISSION) line += character;
        if (character !== '\n' && !ended) return;
        if (line !== '') vcpu.hypercall.console.write(`echo: ${line.trimEnd()}\n`);
        line = '';
      };

      // One event may stand for many characters: they merge while it is pending. So read until the buffer is empty; a
      // character that comes after the last read raises the event anew, since its pending bit was cleared before.
      const drain = () => {
        for (;;) {
          const chunk = vcpu.hypercall.console.read(READ_BYTES);
          if (chunk.length === 0) return;
          for (const byte of chunk) take(String.fromCharCode(byte));
        }
      };

      irqDisable(vcpu);
      events.bindVirq(VIRQ_CONSOLE, drain);
      // What was typed before the bind is in the buffer, but its events went nowhere.
      drain();
      haltUntil(vcpu, () => ended);
      return { bytesTaken };
    },
  ],

  check({ results, args }) {
    const { typed, bytes } = { ...DEFAULTS, ...args };
    const { bytesTaken } = results[0] as { bytesTaken: number };
    const [text = ''] = typed.split(END_OF_TRANSMISSION);
    // Somebody may type along: that the device's input got through is all there is to say.
    assert.ok(bytesTaken >= Math.min(text.length, bytes), 'characters were lost');
  },
});
