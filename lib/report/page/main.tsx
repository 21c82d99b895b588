/** Reads the data that lies in the page and shows it. */
import './theme.css';
import './base.css';
import { render } from 'preact';
import type { PageData } from '../page-data';
import { App } from './app';

const data = document.getElementById('data');
const place = document.getElementById('app');
if (data === null || place === null) throw new Error('the page is not whole');
render(<App data={JSON.parse(data.textContent) as PageData} />, place);
