// What every page has: htmx, and the small things HTML can't do by itself.
import "./arriving";
import "./exchange";
import "./copy";
import "./dialog";
import "./palette";
import "./preferences";
import "./sends";
import "./session";
import "./shortcuts";
import "./tabs";
import "./toast";
import "./unsent";
