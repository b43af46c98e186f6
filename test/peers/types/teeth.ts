// What must not compile, so that what does compile says something.
import type { HomeView, KnownBlock, ModalView } from '@slack/types';
import type { ChatPostMessageArguments } from '@slack/web-api';

void ([{ type: 'section', text: { type: 'mrkdwn', text: 'x', verbatim: true } }] satisfies KnownBlock[]);
// @ts-expect-error a property that does not exist
void ([{ type: 'section', text: { type: 'mrkdwn', text: 'x' }, colour: 'red' }] satisfies KnownBlock[]);
// @ts-expect-error a property of another element
void ([{ type: 'section', text: { type: 'plain_text', text: 'x', verbatim: true } }] satisfies KnownBlock[]);
// @ts-expect-error a block that does not exist
void ([{ type: 'paragraph', text: { type: 'mrkdwn', text: 'x' } }] satisfies KnownBlock[]);
// @ts-expect-error a text where a text object belongs
void ([{ type: 'header', text: 'x' }] satisfies KnownBlock[]);
// @ts-expect-error mrkdwn where plain text belongs
void ([{ type: 'header', text: { type: 'mrkdwn', text: 'x' } }] satisfies KnownBlock[]);
// @ts-expect-error an input element among actions
void ([{ type: 'actions', elements: [{ type: 'plain_text_input', action_id: 'x' }] }] satisfies KnownBlock[]);
// @ts-expect-error a style that does not exist
void ([{ type: 'actions', elements: [{ type: 'button', action_id: 'x', text: { type: 'plain_text', text: 'x' }, style: 'loud' }] }] satisfies KnownBlock[]);
// @ts-expect-error an argument that does not exist
void ({ channel: 'C1', text: 'x', colour: 'red' } satisfies ChatPostMessageArguments);
// @ts-expect-error no channel
void ({ text: 'x' } satisfies ChatPostMessageArguments);
// @ts-expect-error a modal without a title
void ({ type: 'modal', blocks: [] } satisfies ModalView);
// @ts-expect-error a home tab has none
void ({ type: 'home', blocks: [], title: { type: 'plain_text', text: 'x' } } satisfies HomeView);
