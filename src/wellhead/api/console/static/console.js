// Begins everything: each module looks for what it is about and does nothing without it.
import { fillParts, followLive } from "./live.js";
import { keepTime } from "./times.js";
import { dismissToasts, say } from "./toasts.js";
import { listenToKeys } from "./shortcuts.js";
import { copyCode, fillFields, openMenu, previewSchedule, showWhen, switchTheme, tabs } from "./controls.js";

document.documentElement.classList.add("scripted");
keepTime();
dismissToasts();
listenToKeys();
openMenu();
switchTheme();
copyCode(say);
tabs();
showWhen();
fillFields();
previewSchedule();
fillParts();
followLive();
